"""Tune's trials as `TrialRecord`s: live ones in the driver, and stored ones from a search's folder."""

from __future__ import annotations

import copy
import datetime
import json
from typing import Any

from ray.tune.experiment import Trial

from policies.registry import create_policy
from search.config import SearchConfig
from search.records import SearchRecord, TrialRecord, TrialStatus
from search.space import is_baseline
from search.store import SearchStore
from trainables.records import TrialHistory
from trainables.suggestion import SHARED, policy_parameters
from trainables.trial import HISTORY_FILE

_STATUS: dict[str, TrialStatus] = {"TERMINATED": "finished", "ERROR": "failed", "RUNNING": "running"}


def read_search(store: SearchStore) -> SearchRecord:
    """A search with its trials, as Tune's last snapshot has them.

    Raises:
        SearchError: there is no such search, or its header is damaged.
    """
    record = store.header_record()
    if not store.has_snapshot():
        return record
    config = store.config()
    trials = [trial_record(trial, config) for trial in _stored_trials(store)]
    return record.model_copy(update={"trials": tuple(sorted(trials, key=lambda t: t.number))})


def _stored_trials(store: SearchStore) -> list[Trial]:
    """Tune's trials from the newest snapshot, pointing at the folder where it lies now."""
    trials = []
    for state, metadata in json.loads(store.read_snapshot())["trial_data"]:
        trial = Trial.from_json_state(state, stub=True)
        trial.restore_run_metadata(metadata)
        storage = copy.copy(trial.storage)
        storage.storage_filesystem = store.filesystem
        storage.storage_fs_path, _, storage.experiment_dir_name = store.folder.rpartition("/")
        trial.set_storage(storage)
        trials.append(trial)
    return trials


def trial_record(trial: Trial, config: SearchConfig, status: TrialStatus | None = None) -> TrialRecord:
    """One of Tune's trials; its history comes from its last checkpoint, its status from Tune unless given."""
    suggestion: dict[str, Any] = trial.config
    family = str(suggestion["family"])
    policy = create_policy(family, dict(policy_parameters(suggestion)))
    number = trial_number(trial)
    history = _history(trial)
    status = status or _STATUS.get(trial.status, "pending")
    if status == "finished" and history.score is None:
        status = "pending"  # stopped before its end: a resumed search goes on with it
    start, last_result = trial.run_metadata.start_time, trial.run_metadata.last_result_time
    if status == "finished" and start:
        # A busy driver may note the start only when the trial in a reused process is well under way.
        start = min(start, last_result - history.training_seconds)
    return TrialRecord(
        trial_id=trial.trial_id,
        number=number,
        status=status,
        family=family,
        parameters=policy.values(),
        shared={name: suggestion[name] for name in SHARED if name in suggestion},
        rule=policy.rule(),
        complexity=policy.complexity,
        baseline=is_baseline(config, number, family),
        started=_moment(start),
        ended=_moment(last_result) if status in ("finished", "failed") else None,
        error=_error(trial) if status == "failed" else None,
        history=history,
        folder=trial.storage.trial_dir_name or "",
    )


def trial_number(trial: Trial) -> int:
    """The trial's place in the order of suggestions, from 1; Tune's tag begins with it."""
    return int(str(trial.experiment_tag).partition("_")[0])


def _history(trial: Trial) -> TrialHistory:
    checkpoint = trial.checkpoint
    if checkpoint is None:
        return TrialHistory()
    path = f"{checkpoint.path}/{HISTORY_FILE}"
    try:
        with checkpoint.filesystem.open_input_stream(path) as stream:
            return TrialHistory.from_json(bytes(stream.readall()).decode())
    except FileNotFoundError:
        return TrialHistory()


def _error(trial: Trial) -> str:
    """The last line of a failed trial's traceback."""
    filename = trial.run_metadata.error_filename
    if not filename:
        return "no message"
    storage = trial.storage
    try:
        with storage.storage_filesystem.open_input_stream(f"{storage.trial_fs_path}/{filename}") as stream:
            text = bytes(stream.readall()).decode(errors="replace")
    except OSError:
        return "the message was lost"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def _moment(seconds: float | None) -> datetime.datetime | None:
    if not seconds or seconds < 0:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
