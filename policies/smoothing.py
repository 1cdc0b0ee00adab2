"""Holds two small memories that rules share: a running mean and a switch with hysteresis."""

from __future__ import annotations

import dataclasses
import math


@dataclasses.dataclass
class RunningMean:
    """Exponential moving average without the bias towards its start (Adam's correction, arXiv 1412.6980).

    `smoothing` = 0 keeps the last value only; 0.9 averages about the last ten.
    """

    smoothing: float
    total: float = 0.0
    weight: float = 0.0

    def update(self, value: float) -> float:
        """Add one value and return the mean."""
        self.total = self.smoothing * self.total + (1.0 - self.smoothing) * value
        self.weight = self.smoothing * self.weight + (1.0 - self.smoothing)
        return self.mean

    @property
    def mean(self) -> float:
        """The mean so far; NaN before the first value."""
        return self.total / self.weight if self.weight > 0.0 else math.nan


class Switch:
    """Tells whether a value is above a threshold. It changes only past a margin, so that noise does not flip it."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high
        self.above: bool | None = None

    def update(self, value: float) -> bool:
        """Return True for a value above `high`, False for one not above `low`, else the answer before.

        The first value is compared with the middle.
        """
        if self.above is None:
            self.above = value > 0.5 * (self.low + self.high)
        elif value > self.high:
            self.above = True
        elif value <= self.low:
            self.above = False
        return self.above
