"""Holds what the closed forms share: they all follow from the norm ratio and the cosine of the two gradients.

Notation of these rules: a = ‖g_d‖², b = ‖g_t‖², c = ⟨g_d, g_t⟩, r = √(a/b), ρ = c/√(ab). A method of multi-task
learning gives weights (w_d, w_t); they mean λ = w_d/(w_d + w_t) and s = w_d + w_t. No λ changes when both losses are
scaled alike, so averages of log r and of ρ are all that must be kept. One broken batch moves them by a bounded amount.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Sequence

from policies.bases.scaled import PublishedScale
from policies.geometric import GeometricPolicy, log_ratio
from policies.geometry import Geometry
from policies.policy import Decision

# Loss ratios beyond this mean only that one loss has vanished.
_LARGEST_LOG_RATIO = math.log(1e12)
_SMALLEST_LOSS = 1e-300


@dataclasses.dataclass(kw_only=True, eq=False)
class ClosedFormPolicy(GeometricPolicy):
    """A rule on the smoothed norm ratio and cosine, the ratio averaged geometrically."""

    def of_geometry(self, geometry: Geometry) -> tuple[float, ...]:
        return pair_readings(geometry)

    def respond(self, means: tuple[float, ...]) -> Decision:
        return self.of_pair(pair_of(means))

    @abc.abstractmethod
    def of_pair(self, geometry: Geometry) -> Decision:
        """The decision for a geometry of finite, positive lengths whose product is 1."""


@dataclasses.dataclass(kw_only=True, eq=False)
class ScaledPolicy(ClosedFormPolicy, PublishedScale):
    """A closed form whose published weights do not add up to 1."""

    def mix(self, distill_weight: float, task_weight: float, reason: str, branch: int = 0) -> Decision:
        """The decision for published weights, which are not negative and not both zero."""
        total = distill_weight + task_weight
        return Decision(distill_weight / total, total if self.scale == "published" else 1.0, reason, branch)


def pair_readings(geometry: Geometry) -> tuple[float, float]:
    """Return (log r, ρ); NaN where a gradient is not finite."""
    return log_ratio(geometry), geometry.cosine


def pair_of(means: Sequence[float]) -> Geometry:
    """The geometry that averaged `pair_readings` stand for."""
    return Geometry.of(math.exp(means[0]), means[1])


def log_loss_ratio(task_loss: float | None, distill_loss: float | None) -> float:
    """Return log(L_d/L_t), bounded; NaN if a loss is missing, negative or not finite, since there is no ratio then."""
    logs = []
    for loss in (distill_loss, task_loss):
        if loss is None or not 0.0 <= loss < math.inf:
            return math.nan
        logs.append(math.log(max(loss, _SMALLEST_LOSS)))
    return max(-_LARGEST_LOG_RATIO, min(_LARGEST_LOG_RATIO, logs[0] - logs[1]))


def in_words(geometry: Geometry) -> str:
    """Return cosine and norm ratio in words, for a decision's reason."""
    return f"cosine {geometry.cosine:.3f}, norm ratio {geometry.norm_ratio:.3g}"
