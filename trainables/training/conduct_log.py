"""Records what a rule does at every step, at a negligible cost.

λ of a batch is a float on the host and is counted there. λ of the single samples may be on a GPU. These tensors are
kept until the epoch ends, when the loop waits for the device anyway, and are then read all at once.

S: steps of an epoch; N: samples of a batch.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from policies.monitoring.windows import READINGS, WINDOWS, Windows, readings_of
from trainables.records import FIRST_SHARE, MOST_LEVELS, Conduct, ReadingWindows, SampleConduct

if TYPE_CHECKING:
    from policies.balancer import Step

_NOTHING = (math.inf, -math.inf)


class ConductLog:
    """Records the steps of one replicate, in order.

    Args:
        total_steps: the number of steps of its whole training.
    """

    def __init__(self, total_steps: int) -> None:
        self._first = int(FIRST_SHARE * total_steps)
        self._windows: Windows | None = Windows(total_steps)
        self._steps = 0
        self._sum = self._settled_sum = 0.0
        self._range = self._settled = self._scale = _NOTHING
        self._branches: Counter[int] = Counter()
        self._settled_branches: set[int] = set()
        self._branch: int | None = None
        self._switches = 0
        self._batches: list[Tensor] = []
        self._sample_range = _NOTHING
        self._sample_steps = 0
        self._spread_sum = 0.0
        self._levels: Counter[float] | None = Counter()
        self._whole = True
        """True if every step of the training was seen; False after a resume from an older release's state."""

    def note(self, step: Step) -> None:
        """Record the next step, without waiting for a device."""
        weight, scale, branch = step.decision.weight, step.decision.scale, step.decision.branch
        self._steps += 1
        self._sum += weight
        if self._windows is not None:
            self._windows.note(step.step, readings_of(step))
        self._branches[branch] += 1
        if branch != self._branch:
            self._switches += self._branch is not None
            self._branch = branch
        low, high = self._range
        if not low <= weight <= high:
            self._range = min(low, weight), max(high, weight)
        if step.step < self._first:
            return
        self._settled_sum += weight
        self._settled_branches.add(branch)
        low, high = self._settled
        if not low <= weight <= high:
            self._settled = min(low, weight), max(high, weight)
        low, high = self._scale
        if not low <= scale <= high:
            self._scale = min(low, scale), max(high, scale)
        if step.weights is not None:
            self._batches.append(step.weights)

    def end_epoch(self) -> None:
        """Read the λ of the epoch's samples; this waits for the device."""
        batches, self._batches = self._batches, []
        by_size: dict[int, list[Tensor]] = {}  # a user's loop may keep the smaller batch at an epoch's end
        for batch in filter(len, batches):
            by_size.setdefault(len(batch), []).append(batch)
        for same in by_size.values():
            self._read(torch.stack(same))

    def _read(self, weights: Tensor) -> None:
        """Read λ of the samples of batches of one size, [S, N]."""
        spread = weights.std(dim=1, correction=0).sum()
        lowest, highest, spread_sum = torch.stack([*weights.aminmax(), spread]).tolist()
        self._sample_range = min(self._sample_range[0], lowest), max(self._sample_range[1], highest)
        self._spread_sum += spread_sum
        self._sample_steps += len(weights)
        if self._levels is not None:
            values, counts = torch.unique(weights, return_counts=True)
            if len(values) <= MOST_LEVELS:
                self._levels.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
            if len(values) > MOST_LEVELS or len(self._levels) > MOST_LEVELS:
                self._levels = None

    def conduct(self) -> Conduct | None:
        """Return the conduct so far; None before the first steps are over, or if some step was not seen."""
        settled_steps = self._steps - self._first
        if settled_steps < 1 or not self._whole:
            return None
        return Conduct(
            steps=self._steps,
            weight_mean=self._sum / self._steps,
            weight_range=self._range,
            settled_mean=self._settled_sum / settled_steps,
            settled_range=self._settled,
            scale_range=self._scale,
            branches=tuple(sorted(self._branches.items())),
            settled_branches=tuple(sorted(self._settled_branches)),
            switches=self._switches,
            samples=self._sample_conduct(),
            readings={} if self._windows is None else _readings(self._windows),
        )

    def _sample_conduct(self) -> SampleConduct | None:
        if not self._sample_steps:
            return None
        levels = None
        if self._levels is not None:
            total = self._levels.total()
            levels = tuple((weight, count / total) for weight, count in sorted(self._levels.items()))
        return SampleConduct(
            weight_range=self._sample_range, spread=self._spread_sum / self._sample_steps, levels=levels
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the state in plain values; call this between two epochs."""
        return {
            "steps": self._steps,
            "sums": (self._sum, self._settled_sum),
            "ranges": (self._range, self._settled, self._scale),
            "branches": dict(self._branches),
            "settled_branches": sorted(self._settled_branches),
            "branch": self._branch,
            "switches": self._switches,
            "sample_range": self._sample_range,
            "sample_steps": self._sample_steps,
            "spread_sum": self._spread_sum,
            "levels": None if self._levels is None else dict(self._levels),
            "whole": self._whole,
            "windows": None if self._windows is None else self._windows.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any] | None) -> None:
        """Resume from a `state_dict`, or from None, as an older release left it; then the conduct stays unknown."""
        if state is None:
            self._whole = False
            return
        # An older release did not keep them, and windows that begin in the middle would mislead.
        windows = state.get("windows")
        if windows is None:
            self._windows = None
        elif self._windows is not None:
            self._windows.load_state_dict(windows)
        self._steps, self._switches, self._branch = state["steps"], state["switches"], state["branch"]
        self._sum, self._settled_sum = state["sums"]
        self._range, self._settled, self._scale = (tuple(ends) for ends in state["ranges"])
        self._branches = Counter(state["branches"])
        self._settled_branches = set(state["settled_branches"])
        self._sample_range = tuple(state["sample_range"])
        self._sample_steps, self._spread_sum = state["sample_steps"], state["spread_sum"]
        self._levels = None if state["levels"] is None else Counter(state["levels"])
        self._whole = state["whole"]


def _readings(windows: Windows) -> dict[str, ReadingWindows]:
    """Return each reading that was read at all, window by window."""
    all_means = [windows.of(window) for window in range(WINDOWS)]
    return {
        name: ReadingWindows(counts=counts, means=tuple(means.mean(name) for means in all_means))
        for name in READINGS
        if any(counts := tuple(means.count(name) for means in all_means))
    }
