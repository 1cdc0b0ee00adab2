"""Has the training come to grief? One look at the losses tells nothing, so it takes many."""

from __future__ import annotations

import math

from policies.policy import State
from policies.smoothing import RunningMean

_INITIAL = 10
_SMOOTHING = 0.95
_SETTLED = 20
_PATIENCE = 50
_RISE = 3.0
_SHARE = 0.8


class DivergenceAlarm:
    """Rings once, when the loss that is trained has been far above its best for a while.

    A reading is the mixed loss as a share of what it would have been at the same λ with the losses of the first 10
    readings, so that a change of λ between two losses of different size does not look like a rise. The alarm rings when
    the mean over about 20 readings has been, for 50 readings in a row, more than 3 times its least and more than 0.8: a
    training that has lost what it had learned. Noise around a small loss never comes near the second bound. Readings
    that are not finite count as above every bound. Losses below zero have no shares; of them nothing is said.
    """

    def __init__(self) -> None:
        self._readings = 0
        self._initial_task = 0.0
        self._initial_distill = 0.0
        self._mean = RunningMean(_SMOOTHING)
        self._best: float | None = None
        self._above = 0
        self._raised = False

    def update(self, weight: float, task_loss: float, distill_loss: float, mixed_loss: float) -> str | None:
        """Take in one step.

        Args:
            weight: λ of the step.
            task_loss: in nats.
            distill_loss: in nats.
            mixed_loss: what was trained.

        Returns:
            What is wrong, at the one reading at which it is told, else None.
        """
        if self._readings < _INITIAL:
            if math.isfinite(task_loss) and math.isfinite(distill_loss):
                self._readings += 1
                self._initial_task += task_loss / _INITIAL
                self._initial_distill += distill_loss / _INITIAL
                return None
        elif mixed_loss < math.inf:
            start = weight * self._initial_distill + (1.0 - weight) * self._initial_task
            if mixed_loss < 0.0 or start <= 0.0:
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
        if self._above < _PATIENCE or self._raised:
            return None
        self._raised = True
        if self._best is None or not mixed_loss < math.inf:
            return f"no finite loss in {_PATIENCE} readings; a lower learning rate may help"
        share, rise = self._mean.mean, self._mean.mean / max(self._best, 1e-12)
        return f"its loss is {share:.2g} times the first and {rise:.3g} times the best; a lower learning rate may help"

    def state_dict(self) -> State:
        """What the alarm remembers, as JSON numbers."""
        return {
            "readings": self._readings,
            "initial_task": self._initial_task,
            "initial_distill": self._initial_distill,
            "mean_total": self._mean.total,
            "mean_weight": self._mean.weight,
            "best": self._best,
            "above": self._above,
            "raised": self._raised,
        }

    def load_state_dict(self, state: State) -> None:
        """Continue from a `state_dict`."""
        self._readings = int(state["readings"] or 0)
        self._initial_task = float(state["initial_task"] or 0.0)
        self._initial_distill = float(state["initial_distill"] or 0.0)
        self._mean.total = float(state["mean_total"] or 0.0)
        self._mean.weight = float(state["mean_weight"] or 0.0)
        self._best = None if state["best"] is None else float(state["best"])
        self._above = int(state["above"] or 0)
        self._raised = bool(state["raised"])
