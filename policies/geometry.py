"""What two gradients say about each other: three numbers, and what follows from them.

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

    @property
    def finite(self) -> bool:
        """Whether all three numbers are finite; a loss that overflowed makes them not so."""
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
    def safe_interval(self) -> tuple[float, float]:
        """The λ between which a small step lowers both losses; (0, 1) unless the gradients conflict.

        From the first-order expansion: ΔL_d ≈ -η(λa + (1-λ)c) and ΔL_t ≈ -η(λc + (1-λ)b), both negative.
        For exactly opposite gradients the interval is a single point.
        """
        a, b, c = self
        if c >= 0.0:
            return 0.0, 1.0
        low = -c / (a - c)
        high = b / (b - c)
        return min(low, high), high
