"""Tune's trials as `TrialRecord`s: live ones in the driver, and stored ones from a search's folder."""

from __future__ import annotations

import datetime
import logging
from typing import Any

from ray import tune

from policies.registry import create_policy
from search.config import SearchConfig
from search.records import SearchRecord, TrialRecord, TrialStatus
from search.space import is_baseline
from search.store import SearchStore
from trainables.records import TrialHistory
from trainables.suggestion import SHARED, policy_parameters
from trainables.trial import HISTORY_FILE

# It misses Tune's own result files, which are switched off: the history in each trial's checkpoint says more.
logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)

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
    analysis = tune.ExperimentAnalysis(store.folder, storage_filesystem=store.filesystem)
    trials = [trial_record(trial, config) for trial in analysis.trials]
    return record.model_copy(update={"trials": tuple(sorted(trials, key=lambda t: t.number))})


def trial_record(trial: Any, config: SearchConfig, status: TrialStatus | None = None) -> TrialRecord:
    """One of Tune's trials; its history comes from its last checkpoint, its status from Tune unless given."""
    suggestion: dict[str, Any] = trial.config
    family = str(suggestion["family"])
    policy = create_policy(family, dict(policy_parameters(suggestion)))
    number = trial_number(trial)
    history = _history(trial)
    status = status or _STATUS.get(trial.status, "pending")
    if status == "finished" and history.score is None:
        status = "pending"  # stopped before its end: a resumed search goes on with it
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
        started=_moment(trial.run_metadata.start_time),
        ended=_moment(trial.run_metadata.last_result_time) if status in ("finished", "failed") else None,
        error=_error(trial) if status == "failed" else None,
        history=history,
    )


def trial_number(trial: Any) -> int:
    """The trial's place in the order of suggestions, from 1; Tune's tag begins with it."""
    return int(str(trial.experiment_tag).partition("_")[0])


def _history(trial: Any) -> TrialHistory:
    checkpoint = trial.checkpoint
    if checkpoint is None:
        return TrialHistory()
    path = f"{checkpoint.path}/{HISTORY_FILE}"
    try:
        with checkpoint.filesystem.open_input_stream(path) as stream:
            return TrialHistory.from_json(bytes(stream.readall()).decode())
    except FileNotFoundError:
        return TrialHistory()


def _error(trial: Any) -> str:
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
