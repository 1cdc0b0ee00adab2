"""Detects that a training diverges, or that a loss stays broken. One reading shows neither, so it takes many."""

from __future__ import annotations

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

    def __init__(self) -> None:
        self._readings = 0
        self._initial_task = 0.0
        self._initial_distill = 0.0
        self._mean = RunningMean(_SMOOTHING)
        self._best: float | None = None
        self._above = 0
        self._broken: Intervention | None = None
        self._broken_for = 0
        self._told: set[Intervention] = set()

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
            self._broken_for = 0
        elif (reason := self._of_broken(task_loss, distill_loss)) is not None:
            return reason
        if self._readings < _INITIAL:
            if finite:
                self._readings += 1
                self._initial_task += task_loss / _INITIAL
                self._initial_distill += distill_loss / _INITIAL
            return None
        if mixed_loss < math.inf:
            start = weight * self._initial_distill + (1.0 - weight) * self._initial_task
            if mixed_loss < 0.0 or start <= _NOTHING * max(self._initial_distill, self._initial_task):
                return None
            self._readings += 1
            mean = self._mean.update(mixed_loss / start)
            if self._readings < _INITIAL + _SETTLED:
                return None
            if self._best is None or mean < self._best:
                self._best = mean
            if mean <= _SHARE or mean <= _RISE * self._best:
                self._above = 0
                return None
        self._above += 1
        if self._above < _PATIENCE or Intervention.DIVERGENCE in self._told:
            return None
        if self._best is None or not mixed_loss < math.inf:
            return self._ring(Intervention.DIVERGENCE, _NEVER_FINITE)
        share, rise = self._mean.mean, self._mean.mean / max(self._best, 1e-12)
        problem = f"its loss is {share:.2g} times the first and {rise:.3g} times the best; {_SLOWER}"
        return self._ring(Intervention.DIVERGENCE, problem)

    def state_dict(self) -> State:
        """Return the alarm's state as JSON values."""
        return {
            "readings": self._readings,
            "initial_task": self._initial_task,
            "initial_distill": self._initial_distill,
            "mean_total": self._mean.total,
            "mean_weight": self._mean.weight,
            "best": self._best,
            "above": self._above,
            "broken": None if self._broken is None else _KINDS.index(self._broken),
            "broken_for": self._broken_for,
        } | {f"told_{kind.name}": kind in self._told for kind in _KINDS}

    def load_state_dict(self, state: State) -> None:
        """Continue from a `state_dict`."""
        self._readings = int(state["readings"] or 0)
        self._initial_task = float(state["initial_task"] or 0.0)
        self._initial_distill = float(state["initial_distill"] or 0.0)
        self._mean.total = float(state["mean_total"] or 0.0)
        self._mean.weight = float(state["mean_weight"] or 0.0)
        self._best = None if state["best"] is None else float(state["best"])
        self._above = int(state["above"] or 0)
        self._broken = None if state["broken"] is None else _KINDS[int(state["broken"])]
        self._broken_for = int(state["broken_for"] or 0)
        self._told = {kind for kind in _KINDS if state.get(f"told_{kind.name}")}

    def _of_broken(self, task_loss: float, distill_loss: float) -> str | None:
        """Count a reading in which a loss is not finite; ring after 50 with the same loss in a row."""
        if math.isfinite(task_loss):
            kind, remedy = Intervention.DISTILL_LOSS, "look for NaN and infinity in the teacher's outputs"
        elif math.isfinite(distill_loss):
            kind, remedy = Intervention.TASK_LOSS, "look at the labels and at how the loss is computed"
        elif self._readings == 0:
            kind, remedy = Intervention.BOTH_LOSSES, "look for NaN and infinity in the inputs and the student's weights"
        else:
            kind, remedy = Intervention.DIVERGENCE, ""
        self._broken_for = self._broken_for + 1 if kind is self._broken else 1
        self._broken = kind
        if self._broken_for < _PATIENCE:
            return None
        return self._ring(kind, f"in {_PATIENCE} readings in a row; {remedy}" if remedy else _NEVER_FINITE)

    def _ring(self, kind: Intervention, problem: str) -> str | None:
        if kind in self._told:
            return None
        self._told.add(kind)
        return kind.because(problem)
