"""Races policies over seeds: a policy starts with few seeds and earns more by being among the best of its family.

The seeds of a trial are trained in heats. Every policy runs the first one. After each heat, the best of each family by
their mean score over all seeds so far run the next one. This is synchronous successive halving (arXiv 1502.07943), with
seeds as the resource. Only policies that have run all heats have a score. Imports no Ray and no Optuna.
"""

from __future__ import annotations

import dataclasses
import enum
import statistics
from collections.abc import Callable, Sequence

from search.settings import Heat


class Turn(enum.Enum):
    """The answer of a race that names no policy."""

    WAIT = "wait"
    """Heats that run must end first."""
    OVER = "over"
    """Nothing is left to run."""


@dataclasses.dataclass
class _Entry:
    """One policy in the race: the number of heats begun, and the scores of those that did not fail."""

    number: int
    begun: int = 0
    scores: list[float] = dataclasses.field(default_factory=list)
    failed: bool = False

    @property
    def running(self) -> bool:
        return not self.failed and self.begun > len(self.scores)


class FamilyRace:
    """The race of one family.

    Args:
        heats: of the family.
        trials: policies that will run the first heat; None where their number is not known before `close`.
    """

    def __init__(self, heats: Sequence[Heat], trials: int | None) -> None:
        self._heats = tuple(heats)
        self._trials = trials
        self._entries: dict[int, _Entry] = {}

    def close(self) -> None:
        """Let no further policy enter."""
        self._trials = len(self._entries)

    def begin(self, number: int, heat: int) -> None:
        """Let a policy begin a heat, from 0."""
        self._entries.setdefault(number, _Entry(number)).begun = heat + 1

    def end(self, number: int, score: float | None) -> None:
        """Note how the heat that a policy is in has ended: its mean score over its seeds, or None where it failed."""
        entry = self._entries[number]
        if score is None:
            entry.failed = True
        else:
            entry.scores.append(score)

    def promote(self, worth: Callable[[int], float] | None = None) -> tuple[int, int] | Turn:
        """Let the next policy begin another heat; return its number, and the heat from 0.

        A policy that fails in a later heat is replaced by the next best of those it had beaten. So every family has its
        share.

        Args:
            worth: returns a policy's worth by its number; a higher worth is promoted sooner. When not given, it is the
                mean score over the seeds so far.
        """
        if self._trials is None or len(self._entries) < self._trials:
            return Turn.WAIT
        for number in range(1, len(self._heats)):
            pool = [entry for entry in self._entries.values() if len(entry.scores) >= number]
            if any(entry.running and entry.begun <= number for entry in self._entries.values()):
                return Turn.WAIT
            sound = [e for e in pool if e.begun > number and not e.failed]
            waiting = [e for e in pool if e.begun == number and not e.failed]
            if waiting and len(sound) < self._heats[number].entrants:
                worths = [self._mean(e, number) if worth is None else worth(e.number) for e in waiting]
                best = max(zip(worths, waiting, strict=True), key=lambda pair: (pair[0], -pair[1].number))[1]
                self.begin(best.number, number)
                return best.number, number
        return Turn.WAIT if any(e.running for e in self._entries.values()) else Turn.OVER

    def _mean(self, entry: _Entry, heats: int) -> float:
        """Return an entry's mean score over the seeds of the first heats."""
        return statistics.fmean(entry.scores[:heats], weights=[float(len(heat.seeds)) for heat in self._heats[:heats]])
