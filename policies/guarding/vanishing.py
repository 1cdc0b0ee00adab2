"""Finds out which of the two losses has no gradient, from readings that are measured anyway.

A student that starts as a copy of its teacher has a distillation loss of 0 without a gradient. So has a loss that
a user's schedule multiplies by 0. Such a reading says nothing about how two losses relate: their ratio is 0 or
infinite, and no angle is defined.
"""

from __future__ import annotations

import dataclasses
import math

from policies.geometry import UNKNOWN
from policies.policy import Observation, State

_NO_GRADIENT = 1e-5
"""A gradient at most this many times as long as the other is rounding: for equal logits in float32 it is about 1e-6."""

_NO_LOSS = 1e-6
"""The share of the other loss below which a loss that cannot be negative is at its least, with no gradient."""

_FAINT_GRADIENT = 1e-2
_FAINT_LOSS = 1e-3
_PATIENCE = 50
"""The number of steps in a row, with so little to follow, after which a rule is warned about."""

_NO_WEIGHT = 1e-5
"""A loss with at most this weight moves the student so slowly that it stands still."""


@dataclasses.dataclass
class VanishedGradient:
    """Remembers which loss had no gradient at the last check.

    Gradients decide if the rule measures them, else the losses' values. Between two checks, the result of the last one
    holds.

    Attributes:
        distill: True if it is the distillation loss.
        task: True if it is the task loss; never both.
        by_gradients: True if gradients decided, for a rule that compares the losses itself.
        faint: True if there was hardly anything to follow.
        faint_for: the number of steps in a row of which this is true.
    """

    distill: bool = False
    task: bool = False
    by_gradients: bool = False
    faint: bool = False
    faint_for: int = 0

    def look(self, observation: Observation, *, compared: bool) -> Observation:
        """Check the readings of one step, and return the observation that a rule is shown.

        Args:
            observation: the observation of the step.
            compared: True if the rule itself compares the losses or their gradients. If such a rule measures gradients
                at some steps, the losses between two measurements decide nothing.

        A reading that cannot compare the losses becomes NaN, which rules ignore. Otherwise one such reading would stay
        in their averages long after the gradient is back.
        """
        geometry, task, distill = observation.geometry, observation.task_loss, observation.distill_loss
        if geometry is not None:
            if not geometry.finite:
                return observation
            self.by_gradients = compared
            self._compare(geometry.distill_sq, geometry.task_sq, _NO_GRADIENT**2)
            silent = geometry.distill_sq == geometry.task_sq == 0.0
        elif task is None or distill is None or self.by_gradients or not math.isfinite(task + distill):
            return observation
        else:
            self._compare(distill, task, _NO_LOSS)
            silent = distill == task == 0.0
        if not (self.distill or self.task or silent):
            return observation
        return observation._replace(
            geometry=None if geometry is None else UNKNOWN,
            task_loss=None if task is None else math.nan,
            distill_loss=None if distill is None else math.nan,
        )

    def nearly_still(self, observation: Observation, weight: float) -> bool:
        """Tell whether now, for 50 steps, each loss had hardly a gradient or hardly a weight, and one had a gradient.

        MGDA stops like this if the student is a copy of its teacher: rounding leaves the shorter gradient above 0.
        The answer is True at one step only.
        """
        geometry, task, distill = observation.geometry, observation.task_loss, observation.distill_loss
        if geometry is not None and geometry.finite:
            longest = max(geometry.distill_sq, geometry.task_sq)
            followed = max(weight * weight * geometry.distill_sq, (1.0 - weight) ** 2 * geometry.task_sq)
            self.faint = followed <= _FAINT_GRADIENT**2 * longest > 0.0
        elif not self.by_gradients and task is not None and distill is not None:
            mixed = weight * distill + (1.0 - weight) * task
            self.faint = 0.0 <= mixed <= _FAINT_LOSS * max(task, distill) and min(task, distill) >= 0.0 < mixed
        self.faint_for = self.faint_for + 1 if self.faint else 0
        return self.faint_for == _PATIENCE

    @staticmethod
    def alone(weight: float) -> bool:
        """Tell whether λ = `weight` leaves nothing to one of the losses."""
        return weight <= _NO_WEIGHT or 1.0 - weight <= _NO_WEIGHT

    def stands_still(self, weight: float) -> bool:
        """Tell whether λ = `weight` leaves nothing to the one loss that has a gradient."""
        return (self.distill and 1.0 - weight <= _NO_WEIGHT) or (self.task and weight <= _NO_WEIGHT)

    def in_words(self) -> str:
        """Name the loss without a gradient."""
        return "the distillation loss" if self.distill else "the task loss"

    def state_dict(self) -> State:
        """Return the state as JSON values."""
        return dataclasses.asdict(self)

    def load_state_dict(self, state: State) -> None:
        """Continue from a `state_dict`; keys that are missing, as in one of an earlier release, count as False."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, state.get(field.name, field.default))

    def _compare(self, distill: float, task: float, share: float) -> None:
        self.distill, self.task = vanishes(distill, task, share), vanishes(task, distill, share)


def vanishes(loss: float, other: float, share: float = _NO_LOSS) -> bool:
    """Tell whether a loss is negligible beside another; rounding may carry a loss of 0 a little below it."""
    return 0.0 < other < math.inf and abs(loss) <= share * other
