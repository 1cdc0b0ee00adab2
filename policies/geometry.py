"""Describes two gradients by three numbers, and derives the quantities that follow from them.

g_d and g_t are the gradients of the distillation and of the task loss in the student's parameters.
"""

from __future__ import annotations

import math
from typing import NamedTuple


class Geometry(NamedTuple):
    """`distill_sq` = ‖g_d‖², `task_sq` = ‖g_t‖², `inner` = ⟨g_d, g_t⟩."""

    distill_sq: float
    task_sq: float
    inner: float

    @classmethod
    def of(cls, norm_ratio: float, cosine: float) -> Geometry:
        """The geometry with this ‖g_d‖/‖g_t‖ (positive, finite) and this cosine, and with ‖g_d‖·‖g_t‖ = 1.

        λ never depends on the common length of the gradients, so these two numbers are all that a rule on a geometry
        has to remember.
        """
        return cls(norm_ratio, 1.0 / norm_ratio, max(-1.0, min(1.0, cosine)))

    @property
    def finite(self) -> bool:
        """True if all three numbers are finite; after an overflow in a loss they are not."""
        return math.isfinite(self.distill_sq) and math.isfinite(self.task_sq) and math.isfinite(self.inner)

    @property
    def cosine(self) -> float:
        """cos of the angle between g_d and g_t; 0 where one vanishes, NaN where one is not finite."""
        if not self.finite:
            return math.nan
        norms = math.sqrt(self.distill_sq) * math.sqrt(self.task_sq)
        if norms == 0.0:
            return 0.0
        return max(-1.0, min(1.0, self.inner / norms))

    @property
    def norm_ratio(self) -> float:
        """‖g_d‖/‖g_t‖; 1 where both vanish, infinite where only g_t does."""
        if self.task_sq == 0.0:
            return 1.0 if self.distill_sq == 0.0 else math.inf
        return math.sqrt(self.distill_sq) / math.sqrt(self.task_sq)

    @property
    def difference_sq(self) -> float:
        """‖g_d - g_t‖²; rounding never makes it negative."""
        return max(0.0, self.distill_sq + self.task_sq - 2.0 * self.inner)

    @property
    def sum_sq(self) -> float:
        """‖g_d + g_t‖²; rounding never makes it negative."""
        return max(0.0, self.distill_sq + self.task_sq + 2.0 * self.inner)

    @property
    def least_norm_weight(self) -> float:
        """The λ in [0, 1] at which ‖λ g_d + (1-λ) g_t‖ is least; ½ where every λ gives the same vector.

        A small step along that vector raises neither loss (arXiv 1810.04650); it vanishes where no step lowers both.
        """
        a, b, c = self
        toward_distill, toward_task = max(0.0, b - c), max(0.0, a - c)
        if toward_distill == toward_task:
            return 0.5
        return toward_distill / (toward_distill + toward_task)

    def norm_sq(self, weight: float) -> float:
        """‖λ g_d + (1-λ) g_t‖² at λ = `weight`."""
        a, b, c = self
        return max(0.0, weight * weight * a + 2.0 * weight * (1.0 - weight) * c + (1.0 - weight) ** 2 * b)

    @property
    def safe_interval(self) -> tuple[float, float]:
        """The λ between which a small step lowers both losses; (0, 1) unless the gradients conflict.

        It follows from the first-order expansion: ΔL_d ≈ -η(λa + (1-λ)c) and ΔL_t ≈ -η(λc + (1-λ)b), both negative.
        For exactly opposite gradients the interval is a single point.
        """
        a, b, c = self
        if c >= 0.0:
            return 0.0, 1.0
        low = -c / (a - c)
        high = b / (b - c)
        return min(low, high), high


UNKNOWN = Geometry(math.nan, math.nan, math.nan)
"""The geometry that a rule is shown where nothing could be measured; rules ignore it."""
