"""Tune's trials as `TrialRecord`s: live ones in the driver, and stored ones from a search's folder.

Where policies are raced over seeds, a trial of the search is several of Tune's, one a heat.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
import json
from collections.abc import Iterable, Sequence
from typing import Any

from ray.tune.experiment import Trial

from policies.registry import create_policy
from search.config import SearchConfig
from search.racing import Standing, left_the_race
from search.records import ENDED, SearchRecord, TrialRecord, TrialStatus
from search.space import is_baseline
from search.store import SearchStore
from trainables.heats import join_heats
from trainables.objective import Objective
from trainables.records import HISTORY_FILE, TrialHistory
from trainables.suggestion import BASE_STUDENT, SHARED, policy_parameters

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
    return record.model_copy(update={"trials": trial_records(map(heat_record, _stored_trials(store)), config)})


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


@dataclasses.dataclass(frozen=True)
class HeatRecord:
    """One of Tune's trials: part of the seeds of the policy with this number, all of them where nothing is raced."""

    trial_id: str
    number: int
    suggestion: dict[str, Any]
    status: TrialStatus
    started: datetime.datetime | None
    ended: datetime.datetime | None
    error: str | None
    history: TrialHistory
    folder: str


def heat_record(trial: Trial, status: TrialStatus | None = None) -> HeatRecord:
    """One of Tune's trials; its history comes from its last checkpoint, its status from Tune unless given."""
    history = _history(trial)
    status = status or _STATUS.get(trial.status, "pending")
    if status == "finished" and history.score is None:
        status = "pending"  # stopped before its end: a resumed search goes on with it
    start, last_result = trial.run_metadata.start_time, trial.run_metadata.last_result_time
    if status == "finished" and start:
        # A busy driver may note the start only when the trial in a reused process is well under way.
        start = min(start, last_result - history.training_seconds)
    return HeatRecord(
        trial_id=trial.trial_id,
        number=int(trial.config["trial"]),
        suggestion=trial.config,
        status=status,
        started=_moment(start),
        ended=_moment(last_result) if status in ENDED else None,
        error=_error(trial) if status == "failed" else None,
        history=history,
        folder=trial.storage.trial_dir_name or "",
    )


def trial_records(heats: Iterable[HeatRecord], config: SearchConfig) -> tuple[TrialRecord, ...]:
    """The trials that these heats are part of, by number. Of a trial all heats must be there, and of a family all
    trials with the same student, since who left the race is seen from who went on.
    """
    by_number: dict[int, list[HeatRecord]] = {}
    for heat in heats:
        by_number.setdefault(heat.number, []).append(heat)
    for of_trial in by_number.values():
        of_trial.sort(key=lambda heat: heat.suggestion["seeds"])
    standings: dict[tuple[str, str], list[Standing]] = {}
    for number, of_trial in by_number.items():
        suggestion = of_trial[0].suggestion
        race = str(suggestion.get("student", BASE_STUDENT)), str(suggestion["family"])
        standings.setdefault(race, []).append(
            Standing(
                number,
                heats_begun=len(of_trial),
                heats_ended=sum(heat.status == "finished" for heat in of_trial),
                failed=any(heat.status == "failed" for heat in of_trial),
            )
        )
    out = {number for race in standings.values() for number in left_the_race(race, config.heats)}
    objective = config.base_trial().objective
    return tuple(_trial_record(by_number[n], config, objective, eliminated=n in out) for n in sorted(by_number))


def _trial_record(
    heats: Sequence[HeatRecord], config: SearchConfig, objective: Objective, *, eliminated: bool
) -> TrialRecord:
    first, last = heats[0], heats[-1]
    suggestion, number = first.suggestion, first.number
    family = str(suggestion["family"])
    policy = create_policy(family, dict(policy_parameters(suggestion)))
    histories = [heat.history for heat in heats if heat.status == "finished"]
    status = last.status
    if status == "finished" and len(heats) < len(config.heats):
        status = "eliminated" if eliminated else "pending"
    return TrialRecord(
        trial_id=first.trial_id,
        number=number,
        status=status,
        family=family,
        parameters=policy.values(),
        shared={name: suggestion[name] for name in SHARED if name in suggestion},
        student=str(suggestion.get("student", BASE_STUDENT)),
        rule=policy.rule(),
        complexity=policy.complexity,
        baseline=is_baseline(config, number, family),
        started=first.started,
        ended=last.ended if status in ENDED else None,
        error=last.error,
        history=join_heats(histories, objective) if histories else first.history,
        opening=first.history if len(histories) > 1 else None,
        folders=tuple(heat.folder for heat in heats),
    )


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
