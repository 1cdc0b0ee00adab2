"""Rings when a window's mean reading lies outside the range that it had in confirmed trainings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from policies.monitoring.ranges import ConfirmedRanges
from policies.monitoring.windows import WINDOWS, WORDS, Windows, window_of

_ENOUGH = 0.5
"""The share of the confirmed number of readings that a window needs to be judged; the mean of few is too noisy."""


class Alarm(NamedTuple):
    """A reading that left its range.

    `value` is its mean over `observations` readings, which ended with step `step` and began at `first` of the
    training's progress. It lay in `low` to `high` in `trainings` confirmed trainings.
    """

    step: int
    reading: str
    first: float
    last: float
    value: float
    low: float
    high: float
    observations: int
    trainings: int

    @property
    def text(self) -> str:
        """The alarm in words."""
        return (
            f"{WORDS[self.reading]} {self.value:.3g}, the mean of {self.observations} readings at progress"
            f" {self.first:.2f} to {self.last:.2f}, is outside {self.low:.3g} to {self.high:.3g}, the range of"
            f" {self.trainings} confirmed trainings"
        )


class RangeAlarm:
    """Judges each window of a training once it is over.

    Args:
        ranges: those of the rule's `policy.json`.
        total_steps: the number of steps of this training.
        watch: the readings that are judged; None for all that have a range.
    """

    def __init__(self, ranges: ConfirmedRanges, total_steps: int, watch: Collection[str] | None = None) -> None:
        self.ranges = ranges
        self.watched = tuple(name for name in ranges.readings if watch is None or name in watch)
        self._windows = Windows(total_steps)
        self._judged = 0
        """The number of windows, from the first one, that were judged or are not to be."""

    def note(self, step: int, readings: Mapping[str, float]) -> list[Alarm]:
        """Add the readings of the next step; return an alarm for each reading that left its range in a window."""
        total = self._windows.total_steps
        self._windows.note(step, readings)
        over = WINDOWS if step + 1 >= total else window_of(step + 1, total)
        if over <= self._judged:
            return []
        found = [alarm for window in range(self._judged, over) for alarm in self._judge(window, step)]
        self._judged = over
        return found

    def forget(self, step: int) -> None:
        """Judge nothing up to the end of the window of a step, whose readings are of a disturbed training."""
        self._judged = window_of(step, self._windows.total_steps) + 1

    def _judge(self, window: int, step: int) -> list[Alarm]:
        means, found = self._windows.of(window), []
        for name in self.watched:
            confirmed, value, count = self.ranges.readings[name], means.mean(name), means.count(name)
            low, high = confirmed.low[window], confirmed.high[window]
            if value is None or low is None or high is None or count < _ENOUGH * confirmed.observations:
                continue
            if not low <= value <= high:
                first, last = window / WINDOWS, (window + 1) / WINDOWS
                found.append(Alarm(step, name, first, last, value, low, high, count, self.ranges.trainings))
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {"windows": self._windows.state_dict(), "judged": self._judged}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self._windows.load_state_dict(state["windows"])
        self._judged = int(state["judged"])
