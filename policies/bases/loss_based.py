"""Holds what the rules on the two losses share. These rules cost no second backward pass.

L_d and L_t are the losses of a batch. A method of multi-task learning gives weights (w_d, w_t); they mean
λ = w_d/(w_d + w_t) and s = w_d + w_t.
"""

from __future__ import annotations

import dataclasses
import math

from policies.bases.scaled import PublishedScale
from policies.measuring import MeasuringPolicy, steps_between
from policies.policy import Decision, Observation

# Losses beyond these mean only "vanished" or "exploded"; the bounds keep exponentials of their logarithms finite.
_SMALLEST, _LARGEST = 1e-12, 1e12


def bounded(loss: float | None) -> float:
    """Return the loss, bounded; NaN if it is missing, negative or not finite, since it gives no ratio then."""
    if loss is None or not 0.0 <= loss < math.inf:
        return math.nan
    return min(max(loss, _SMALLEST), _LARGEST)


def logistic(x: float) -> float:
    """1/(1 + e^-x) without overflow."""
    small = math.exp(-abs(x))
    return (1.0 if x >= 0.0 else small) / (1.0 + small)


@dataclasses.dataclass(kw_only=True, eq=False)
class LossPolicy(MeasuringPolicy):
    """A rule on the losses' logarithms, so that their averages are geometric means."""

    measure_every: int = steps_between(1, "readings")

    needs = frozenset({"losses"})

    def readings(self, observation: Observation) -> tuple[float, ...]:
        return math.log(bounded(observation.distill_loss)), math.log(bounded(observation.task_loss))


@dataclasses.dataclass(kw_only=True, eq=False)
class ScaledLossPolicy(LossPolicy, PublishedScale):
    """A rule on the losses whose published weights do not add up to a constant."""

    def mix(self, log_distill: float, log_task: float, reason: str) -> Decision:
        """The decision for published weights, given as logarithms."""
        weight = logistic(log_distill - log_task)
        if self.scale == "unit":
            return Decision(weight, reason=reason)
        return Decision(weight, math.exp(log_distill) + math.exp(log_task), reason)
