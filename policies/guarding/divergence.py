"""Detects that a training diverges, or that a loss stays broken. One reading shows neither, so it takes many."""

from __future__ import annotations

import dataclasses
import math

from policies.guarding.intervention import Intervention
from policies.policy import State
from policies.smoothing import RunningMean

_INITIAL = 10
_SMOOTHING = 0.95
_SETTLED = 20
_PATIENCE = 50
_RISE = 3.0
_SHARE = 0.8
_NOTHING = 0.01

_SLOWER = "a lower learning rate may help"
_NEVER_FINITE = f"no finite loss in {_PATIENCE} readings; {_SLOWER}"
_KINDS = tuple(Intervention)
_PLAIN = ("readings", "initial_task", "initial_distill", "best", "above", "broken_for")


@dataclasses.dataclass
class DivergenceAlarm:
    """Rings once for each cause: the loss that is trained has been far above its best for a while, or a loss is broken.

    A reading is the mixed loss divided by its start: the mix, at the same λ, of the losses averaged over the first 10
    readings. So a change of λ between two losses of different size does not look like a rise.

    The alarm rings if the mean over about 20 readings exceeds both 3 times its least and 0.8, for 50 readings in a row.
    Such a training has lost what it had learned. Noise around a small loss never comes near the second bound. Losses
    below zero are ignored, since they give no such ratio. So is a loss that began at almost nothing beside the other,
    as a copy's distillation loss does: it can only rise.

    A loss that is not finite in 50 readings in a row is reported by name. If only one loss is so, or both from the
    start, no training has diverged. A mixed loss that is not finite counts as above every bound.
    """

    readings: int = 0
    initial_task: float = 0.0
    initial_distill: float = 0.0
    best: float | None = None
    above: int = 0
    broken: Intervention | None = None
    broken_for: int = 0
    mean: RunningMean = dataclasses.field(default_factory=lambda: RunningMean(_SMOOTHING))
    told: set[Intervention] = dataclasses.field(default_factory=set)

    def update(self, weight: float, task_loss: float, distill_loss: float, mixed_loss: float) -> str | None:
        """Add the losses of one step.

        Args:
            weight: λ of the step.
            task_loss: in nats.
            distill_loss: in nats.
            mixed_loss: the loss that was trained.

        Returns:
            The reason of an intervention, only at the reading at which the alarm rings, else None.
        """
        finite = math.isfinite(task_loss + distill_loss)
        if finite:
            self.broken_for = 0
        elif (reason := self._of_broken(task_loss, distill_loss)) is not None:
            return reason
        if self.readings < _INITIAL:
            if finite:
                self.readings += 1
                self.initial_task += task_loss / _INITIAL
                self.initial_distill += distill_loss / _INITIAL
            return None
        if mixed_loss < math.inf:
            start = weight * self.initial_distill + (1.0 - weight) * self.initial_task
            if mixed_loss < 0.0 or start <= _NOTHING * max(self.initial_distill, self.initial_task):
                return None
            self.readings += 1
            mean = self.mean.update(mixed_loss / start)
            if self.readings < _INITIAL + _SETTLED:
                return None
            if self.best is None or mean < self.best:
                self.best = mean
            if mean <= _SHARE or mean <= _RISE * self.best:
                self.above = 0
                return None
        self.above += 1
        if self.above < _PATIENCE or Intervention.DIVERGENCE in self.told:
            return None
        if self.best is None or not mixed_loss < math.inf:
            return self._ring(Intervention.DIVERGENCE, _NEVER_FINITE)
        share, rise = self.mean.mean, self.mean.mean / max(self.best, 1e-12)
        problem = f"its loss is {share:.2g} times the first and {rise:.3g} times the best; {_SLOWER}"
        return self._ring(Intervention.DIVERGENCE, problem)

    def state_dict(self) -> State:
        """Return the alarm's state as JSON values."""
        return {name: getattr(self, name) for name in _PLAIN} | {
            "mean_total": self.mean.total,
            "mean_weight": self.mean.weight,
            "broken": None if self.broken is None else _KINDS.index(self.broken),
            **{f"told_{kind.name}": kind in self.told for kind in _KINDS},
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from a `state_dict`."""
        for name in _PLAIN:
            setattr(self, name, state[name])
        self.mean = RunningMean(_SMOOTHING, state["mean_total"], state["mean_weight"])
        self.broken = None if state["broken"] is None else _KINDS[state["broken"]]
        self.told = {kind for kind in _KINDS if state.get(f"told_{kind.name}")}

    def _of_broken(self, task_loss: float, distill_loss: float) -> str | None:
        """Count a reading in which a loss is not finite; ring after 50 with the same loss in a row."""
        if math.isfinite(task_loss):
            kind, remedy = Intervention.DISTILL_LOSS, "look for NaN and infinity in the teacher's outputs"
        elif math.isfinite(distill_loss):
            kind, remedy = Intervention.TASK_LOSS, "look at the labels and at how the loss is computed"
        elif self.readings == 0:
            kind, remedy = Intervention.BOTH_LOSSES, "look for NaN and infinity in the inputs and the student's weights"
        else:
            kind, remedy = Intervention.DIVERGENCE, ""
        self.broken_for = self.broken_for + 1 if kind is self.broken else 1
        self.broken = kind
        if self.broken_for < _PATIENCE:
            return None
        return self._ring(kind, f"in {_PATIENCE} readings in a row; {remedy}" if remedy else _NEVER_FINITE)

    def _ring(self, kind: Intervention, problem: str) -> str | None:
        if kind in self.told:
            return None
        self.told.add(kind)
        return kind.because(problem)
