"""Averages a training's readings over windows of its progress: the one summary that ranges and alarms are made of.

A single reading is noisy, and its noise depends on the batch. A mean over a window is steady enough to compare one
training with others. A window is a twentieth of a training's steps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from policies.policy import Observation

if TYPE_CHECKING:
    from policies.update.base import Step

WINDOWS = 20
"""The number of windows of a training."""

_PLAIN = Observation._fields[Observation._fields.index("task_loss") :]
READINGS = ("weight", "cosine", "norm_ratio", *_PLAIN)
"""The names of all readings: λ as it was carried out, and what the rule or the guard measured."""

WORDS = {
    "weight": "λ",
    "cosine": "cosine",
    "norm_ratio": "norm ratio",
    "task_loss": "task loss",
    "distill_loss": "distillation loss",
    "confidence": "teacher's confidence",
    "agreement": "teacher's agreement with the label",
    "class_reliability": "teacher's reliability on the labels' classes",
    "answer_reliability": "teacher's reliability on its own classes",
    "confidence_reliability": "teacher's reliability at its confidence",
}
"""The readings in words."""


def readings_of(step: Step) -> dict[str, float]:
    """Return the finite readings of a step that are on the host already, by name; it never waits for a device.

    The norm ratio is left out where it is 0, since its logarithm is averaged.
    """
    seen = step.observation
    found = {"weight": step.decision.weight}
    if seen.geometry is not None and seen.geometry.finite:
        found["cosine"] = seen.geometry.cosine
        ratio = seen.geometry.norm_ratio
        if 0.0 < ratio < math.inf:
            found["norm_ratio"] = ratio
    plain = zip(_PLAIN, seen[3:], strict=True)
    found |= {name: value for name, value in plain if value is not None and math.isfinite(value)}
    return found


def to_scale(name: str, value: float) -> float:
    """Return the number that is averaged: the logarithm of a norm ratio, else the value itself."""
    return math.log(value) if name == "norm_ratio" else value


def from_scale(name: str, value: float) -> float:
    """Return the reading that an averaged number stands for: the geometric mean of norm ratios."""
    return math.exp(value) if name == "norm_ratio" else value


class Means:
    """Averages readings over some steps."""

    def __init__(self) -> None:
        self.steps = 0
        self._sums: dict[str, list[float]] = {}

    def add(self, readings: Mapping[str, float]) -> None:
        """Add the readings of one step, as `readings_of` returns them."""
        self.steps += 1
        for name, value in readings.items():
            row = self._sums.get(name)
            if row is None:
                row = self._sums[name] = [0, 0.0]
            row[0] += 1
            row[1] += math.log(value) if name == "norm_ratio" else value

    def count(self, name: str) -> int:
        """Return the number of steps that had this reading."""
        return int(self._sums[name][0]) if name in self._sums else 0

    def mean(self, name: str) -> float | None:
        """Return a reading's mean; None if no step had it."""
        count = self.count(name)
        return from_scale(name, self._sums[name][1] / count) if count else None

    def means(self) -> dict[str, float]:
        """Return all means by name."""
        return {name: mean for name in self._sums if (mean := self.mean(name)) is not None}

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {"steps": self.steps, "sums": {name: list(row) for name, row in self._sums.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self.steps = int(state["steps"])
        self._sums = {name: list(row) for name, row in state["sums"].items()}


class Windows:
    """Averages the readings of one training, window by window.

    Args:
        total_steps: the number of steps of the whole training.
    """

    def __init__(self, total_steps: int) -> None:
        self.total_steps = total_steps
        self._means: dict[int, Means] = {}

    def note(self, step: int, readings: Mapping[str, float]) -> None:
        """Add the readings of a step; steps beyond the last one belong to the last window."""
        place = window_of(step, self.total_steps)
        means = self._means.get(place)
        if means is None:
            means = self._means[place] = Means()
        means.add(readings)

    def of(self, window: int) -> Means:
        """Return the means of a window."""
        return self._means.get(window) or Means()

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {"total_steps": self.total_steps, "means": [[i, m.state_dict()] for i, m in self._means.items()]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self.total_steps = int(state["total_steps"])
        self._means = {}
        for window, stored in state["means"]:
            self._means[window] = means = Means()
            means.load_state_dict(stored)


def window_of(step: int, total_steps: int) -> int:
    """Return the window of a step, from 0."""
    return min(step * WINDOWS // max(total_steps, 1), WINDOWS - 1)
