"""Turns Tune's trials into `TrialRecord`s: live ones in the driver, and stored ones from a search's folder.

If policies are raced over seeds, a trial of the search is several of Tune's trials, one for each heat.
"""

from __future__ import annotations

import copy
import dataclasses
import datetime
from collections.abc import Iterable, Sequence
from typing import Any

from ray.tune.experiment import Trial

from policies.errors import KDPolicySearchError
from policies.registry import create_policy
from search.errors import SearchError
from search.plan import TrialNumbers
from search.records import ENDED, SearchRecord, TrialRecord, TrialStatus
from search.settings import CONSTANT_FAMILY, Heat, SearchConfig
from search.store.files import read_in
from search.store.folder import SearchStore
from search.store.trial_files import read_error, trial_states
from search.wording import failure_reason
from trainables.records import HISTORY_FILE, TrialHistory, join_heats
from trainables.suggestion import BASE_STUDENT, policy_parameters, shared_settings

_STATUS: dict[str, TrialStatus] = {"TERMINATED": "finished", "ERROR": "failed", "RUNNING": "running"}


def read_search(store: SearchStore) -> SearchRecord:
    """Read a search with its trials, from Tune's last snapshot and the trials' own files.

    Raises:
        SearchError: there is no such search, or its header is damaged.
    """
    record = store.header_record()
    if not store.has_snapshot():
        return record
    return record.model_copy(update={"trials": trial_records(map(heat_record, _stored_trials(store)), record.config)})


def _stored_trials(store: SearchStore) -> list[Trial]:
    """Tune's trials as they were last stored, but with the search's present folder."""
    trials = []
    for stored in trial_states(store):
        trial = stored.trial()
        storage = copy.copy(trial.storage)
        storage.storage_filesystem = store.filesystem
        storage.storage_fs_path, _, storage.experiment_dir_name = store.folder.rpartition("/")
        trial.set_storage(storage)
        trials.append(trial)
    return trials


@dataclasses.dataclass(frozen=True)
class HeatRecord:
    """One of Tune's trials: the seeds of one heat of the policy with this number; all its seeds if nothing is raced."""

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
    """Read one of Tune's trials: its history from its last checkpoint, its status from Tune unless given."""
    history = _history(trial)
    status = status or _STATUS.get(trial.status, "pending")
    if status == "finished" and history.score is None:
        status = "pending"  # stopped before its end; resuming the search resumes it
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
    """The trials that these heats are part of, in the order of their numbers.

    All heats of a trial must be given, and all trials of a family with the same student. A policy is known to have left
    the race only from the policies that were promoted.
    """
    book = TrialBook(config)
    for heat in heats:
        book.note(heat)
    return book.records()


@dataclasses.dataclass(frozen=True)
class Standing:
    """The progress of a policy in a race, as its trial's storage has it."""

    number: int
    heats_begun: int
    heats_ended: int
    failed: bool


class TrialBook:
    """Collects trials from their heats, in any order.

    Args:
        config: the settings of their search.
    """

    def __init__(self, config: SearchConfig) -> None:
        self._config = config
        self._numbers = TrialNumbers(config)
        self._objective = config.base_trial().objective
        self._heats: dict[int, list[HeatRecord]] = {}
        self._races: dict[tuple[str, str], dict[int, Standing]] = {}
        self._out: dict[tuple[str, str], set[int]] = {}

    def resize(self, config: SearchConfig) -> None:
        """Read the trials as those of the same search with another size."""
        self._config, self._numbers = config, TrialNumbers(config)

    def note(self, heat: HeatRecord) -> None:
        """Add a heat, or replace it by its newer state."""
        others = [other for other in self._heats.get(heat.number, ()) if other.trial_id != heat.trial_id]
        of_trial = sorted([*others, heat], key=lambda other: other.suggestion["seeds"])
        self._heats[heat.number] = of_trial
        self._races.setdefault(_race_of(heat), {})[heat.number] = Standing(
            heat.number,
            heats_begun=len(of_trial),
            heats_ended=sum(heat.status == "finished" for heat in of_trial),
            failed=any(heat.status == "failed" for heat in of_trial),
        )

    def changed(self, heat: HeatRecord) -> list[TrialRecord]:
        """Add a heat; return the records of its trial and of the trials that thereby leave the race or return to it."""
        self.note(heat)
        race = _race_of(heat)
        before, now = self._out.get(race, set()), self._left(race)
        self._out[race] = now
        return [self._record(number, now) for number in sorted({heat.number} | (before ^ now))]

    def records(self) -> tuple[TrialRecord, ...]:
        """All trials, in the order of their numbers."""
        out = {number for race in self._races for number in self._left(race)}
        return tuple(self._record(number, out) for number in sorted(self._heats))

    def _left(self, race: tuple[str, str]) -> set[int]:
        return left_the_race(self._races[race].values(), self._heats_of(race))

    def _heats_of(self, race: tuple[str, str]) -> tuple[Heat, ...]:
        """The heats of a race. In a search of release 0.1.0 constants had places in the rounds and raced like rules."""
        in_rounds = self._numbers.turn(min(self._races[race])) is not None
        return self._config.heats if in_rounds else self._config.heats_of_family(race[1])

    def _record(self, number: int, out: set[int]) -> TrialRecord:
        heats = self._heats[number]
        first, last = heats[0], heats[-1]
        student, family = _race_of(first)
        policy = create_policy(family, dict(policy_parameters(first.suggestion)))
        histories = [heat.history for heat in heats if heat.status == "finished"]
        status = last.status
        if status == "finished" and len(heats) < len(self._heats_of((student, family))):
            status = "eliminated" if number in out else "pending"
        return TrialRecord(
            trial_id=first.trial_id,
            number=number,
            status=status,
            family=family,
            parameters=policy.values(),
            shared=shared_settings(first.suggestion),
            student=student,
            rule=policy.rule(),
            short_rule=policy.short_rule(),
            complexity=policy.complexity,
            baseline=family == CONSTANT_FAMILY,
            started=first.started,
            ended=last.ended if status in ENDED else None,
            error=last.error,
            history=join_heats(histories, self._objective) if histories else first.history,
            opening=first.history if len(histories) > 1 else None,
            folders=tuple(heat.folder for heat in heats),
        )


def left_the_race(family: Iterable[Standing], heats: Sequence[Heat]) -> set[int]:
    """Return the numbers of the policies that have no heat to come: the next heat has all its entrants without them.

    This follows from which heats were begun, not from scores, so it agrees with what the search has done.
    """
    standings = list(family)
    sound = [s.heats_begun for s in standings if not s.failed]
    full = [sum(begun > heat for begun in sound) >= heats[heat].entrants for heat in range(len(heats))]
    return {
        standing.number
        for standing in standings
        if not standing.failed
        and standing.heats_begun <= standing.heats_ended
        and 0 < standing.heats_ended < len(heats)
        and full[standing.heats_ended]
    }


def _race_of(heat: HeatRecord) -> tuple[str, str]:
    """The race of a heat: student and family."""
    return str(heat.suggestion.get("student", BASE_STUDENT)), str(heat.suggestion["family"])


def _history(trial: Trial) -> TrialHistory:
    checkpoint = trial.checkpoint
    if checkpoint is None:
        return TrialHistory()
    path = f"{checkpoint.path}/{HISTORY_FILE}"
    try:
        return TrialHistory.from_json(read_in(checkpoint.filesystem, path).decode())
    except FileNotFoundError:
        return TrialHistory()
    except (ValueError, RecursionError, KDPolicySearchError) as error:
        folder = path.rpartition("/checkpoint_")[0]
        raise SearchError(
            f"{path} is damaged: {error} Delete the folder {folder}; the trial is then run again."
        ) from error


def _error(trial: Trial) -> str:
    """Return why a trial failed, in one line."""
    text = read_error(trial)
    return "the message was lost" if text is None else failure_reason(text)


def _moment(seconds: float | None) -> datetime.datetime | None:
    if not seconds or seconds < 0:
        return None
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)
