"""Measures the time that a search has taken, against its budget."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from search.records import TrialRecord


class BudgetClock:
    """Counts the time of all runs of a search, and estimates whether more trainings fit into its budget.

    Args:
        seconds: the budget.
        spent: the seconds that earlier runs of the search took; see `add`.
        now: returns the time in seconds.
    """

    def __init__(self, seconds: float, spent: float = 0.0, now: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._spent = spent
        self._now = now
        self._began = now()
        self._first_trial: float | None = None
        self._trained_before = 0

    def add(self, seconds: float) -> None:
        """Count the seconds of earlier runs too."""
        self._spent += seconds

    def trials_begin(self, trained: int) -> None:
        """Note that this run's trials begin now, after so many trainings in earlier runs."""
        if self._first_trial is None:
            self._first_trial, self._trained_before = self._now(), trained

    @property
    def spent(self) -> float:
        """Seconds that the search has taken."""
        return self._spent + self._now() - self._began

    def needed(self, more: int, trained: int) -> float:
        """Estimate the seconds of further trainings from those so far.

        Args:
            more: trainings to come.
            trained: trainings that have ended, in all runs.
        """
        ended, first = trained - self._trained_before, self._first_trial
        if ended > 0 and first is not None:
            return more * (self._now() - first) / ended
        return more * self._spent / trained if trained else 0.0

    def allows(self, more: int, trained: int) -> bool:
        """Tell whether further trainings will probably end within the budget; see `needed`."""
        left = self.seconds - self.spent
        return left > 0.0 and self.needed(more, trained) <= left


def seconds_spent(trials: Iterable[TrialRecord]) -> float:
    """Return the seconds in which at least one of a search's trials was training, over all its runs."""
    ends = [(trial.ended.timestamp(), trial.history.training_seconds) for trial in trials if trial.ended is not None]
    total, covered = 0.0, -math.inf
    for begin, end in sorted((end - seconds, end) for end, seconds in ends):
        total += max(0.0, end - max(begin, covered))
        covered = max(covered, end)
    return total
