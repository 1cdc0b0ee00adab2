"""Follows the trials of a running search, and estimates the time that is left."""

from __future__ import annotations

from collections import Counter

from search.plan.time_left import Ended, Work, expected_constants, seconds_left
from search.records import ENDED, TrialRecord
from search.settings import CONSTANT_FAMILY, Heat, SearchConfig

_Kind = tuple[str, str]
"""A student and a family."""
_PASSED_BY = 3
"""Rules that begin although a constant is due, before the best constant is taken to be bracketed."""


class Pace:
    """The trainings of a search that have begun and ended, with their times.

    Args:
        config: of the search.
        trials: those that an earlier run left.
    """

    def __init__(self, config: SearchConfig, trials: tuple[TrialRecord, ...] = ()) -> None:
        self._config = config
        self._heats = {family: config.heats_of_family(family) for family in config.families}
        self._begun: Counter[tuple[_Kind, int]] = Counter()
        """Trials that have begun a heat, by kind and heat."""
        self._heats_begun: dict[int, int] = {}
        self._heats_ended: dict[int, int] = {}
        self._running: dict[int, tuple[Work, float]] = {}
        """The training of each running trial, and since when a worker has been waiting for it or been busy with it."""
        self._free: list[float] = []
        """The times since when workers have been free, ascending."""
        self._ended: list[Ended] = []
        self._first: float | None = None
        self._most = 0
        self._passed_by: Counter[str] = Counter()
        """Rules that have begun since a student's last constant ended, although a constant was due."""
        for trial in trials:
            if trial.status in ENDED or trial.seeds:
                self._take_over(trial)

    def update(self, record: TrialRecord, now: float) -> None:
        """Note a trial's latest state at a time, in seconds of any clock."""
        before, ended = self._heats_ended.get(record.number, 0), self._ended_heats(record)
        running = self._running.get(record.number)
        if running is not None and (ended > before or record.status != "running"):
            self._end(record, *self._running.pop(record.number), now)
        self._note(record, ended)
        if record.status == "running" and record.number not in self._running and ended < len(self._heats_of(record)):
            self._begin(record, ended, now)

    def seconds_left(self, now: float) -> float | None:
        """Estimate the seconds until the search's last trial has ended; None until one has ended in this run."""
        if self._first is None:
            return None
        return seconds_left(
            now - self._first,
            self._ended,
            [(work, now - since) for work, since in self._running.values()],
            self._waiting(),
            workers=self._most,
            most_of_a_kind=self._config.proposal_lag,
        )

    def _begin(self, record: TrialRecord, heat: int, now: float) -> None:
        work = Work(_kind(record), len(self._heats_of(record)[heat].seeds))
        self._running[record.number] = work, self._free.pop() if self._free else now
        self._count_begun(record, heat + 1)
        self._most = max(self._most, len(self._running))
        self._first = now if self._first is None else self._first
        if record.family == CONSTANT_FAMILY:
            self._passed_by[record.student] = 0
        elif heat == 0:
            self._pass_by()

    def _pass_by(self) -> None:
        """Count a rule that begins although constants, which take turns with rules, are not ahead and none runs."""
        constants = sum(n for ((_, family), heat), n in self._begun.items() if family == CONSTANT_FAMILY and heat == 0)
        rules = sum(n for ((_, family), heat), n in self._begun.items() if family != CONSTANT_FAMILY and heat == 0)
        busy = {work.kind for work, _ in self._running.values()}
        for student in self._config.students:
            if constants <= rules and (student, CONSTANT_FAMILY) not in busy:
                self._passed_by[student] += 1

    def _end(self, record: TrialRecord, work: Work, since: float, now: float) -> None:
        seconds = now - since
        if len(self._heats_of(record)) == 1 and record.status == "finished":
            # A busy driver may note the start late.
            seconds = max(seconds, record.history.training_seconds)
        self._ended.append(Ended(work, seconds, sound=record.status != "failed"))
        self._free.append(now)

    def _take_over(self, trial: TrialRecord) -> None:
        """Note what an earlier run trained of a trial."""
        self._note(trial, self._ended_heats(trial))
        if trial.seeds and trial.history.training_seconds > 0:
            work = Work(_kind(trial), len(trial.seeds))
            self._ended.append(Ended(work, trial.history.training_seconds, now=False))

    def _note(self, record: TrialRecord, ended: int) -> None:
        """Note the heats of a trial that have ended, whether or not their start was told."""
        self._heats_ended[record.number] = ended
        self._count_begun(record, max(ended, int(record.status == "failed")))

    def _count_begun(self, record: TrialRecord, heats: int) -> None:
        for heat in range(self._heats_begun.get(record.number, 0), heats):
            self._begun[_kind(record), heat] += 1
            self._heats_begun[record.number] = heat + 1

    def _waiting(self) -> dict[Work, float]:
        """Return the expected numbers of trainings that have not begun."""
        waiting: dict[Work, float] = {}
        for student in self._config.students:
            for family in self._config.families:
                kind = student, family
                for number, heat in enumerate(self._heats[family]):
                    entrants = float(heat.entrants)
                    if family == CONSTANT_FAMILY:
                        entrants = min(entrants, self._constants(student))
                    left = entrants - self._begun[kind, number]
                    if left > 0:
                        work = Work(kind, len(heat.seeds))
                        waiting[work] = waiting.get(work, 0.0) + left
        return waiting

    def _constants(self, student: str) -> float:
        """Return the expected number of constants of a student, those that have begun included."""
        kind = student, CONSTANT_FAMILY
        begun = self._begun[kind, 0]
        if self._passed_by[student] >= _PASSED_BY:
            return float(begun)
        return expected_constants(begun, self._config.constant.most_trials, settings=len(self._config.space.shared))

    def _heats_of(self, record: TrialRecord) -> tuple[Heat, ...]:
        return self._heats[record.family]

    def _ended_heats(self, record: TrialRecord) -> int:
        return sum(len(record.seeds) >= heat.seeds_after for heat in self._heats_of(record))


def _kind(record: TrialRecord) -> _Kind:
    return record.student, record.family
