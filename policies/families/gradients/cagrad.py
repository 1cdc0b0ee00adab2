"""The mean gradient, bent towards the loss that would gain least from it."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.bases.mixing import ScaledPolicy, in_words
from policies.geometry import Geometry
from policies.parameter import real
from policies.policy import Decision

# The published program's guard against a mixed gradient that vanishes (1e-8), relative to the bend.
_SMALLEST_LENGTH = 1e-8


@dataclasses.dataclass(kw_only=True, eq=False)
class CAGrad(ScaledPolicy):
    """d = g_0 + κ‖g_0‖ g_w/‖g_w‖, where g_0 = ½(g_d + g_t) and w minimises ⟨g_w, g_0⟩ + κ‖g_0‖‖g_w‖.

    d is the direction within κ‖g_0‖ of the mean gradient that lowers the worse-off loss most. For two
    losses g_w = w g_d + (1-w) g_t, and `bend` finds w in closed form. κ = 0 is λ = ½; κ → ∞ approaches MGDA.

    Source: Liu et al. 2021 (arXiv 2110.14048), algorithm 1; their κ is called c.
    """

    family: ClassVar[str] = "cagrad"
    source: ClassVar[str] = "CAGrad for two losses, arXiv 2110.14048"

    radius: float = real(
        0.4, low=0.0, high=100.0, search=(0.2, 0.8), meaning="κ: how far the direction may leave the mean gradient"
    )

    def of_pair(self, geometry: Geometry) -> Decision:
        bound = self.radius * 0.5 * math.sqrt(geometry.sum_sq)
        worst = bend(geometry, bound)
        length = max(math.sqrt(geometry.norm_sq(worst)), _SMALLEST_LENGTH * bound)
        turn = bound / length if bound > 0.0 else 0.0
        return self.mix(0.5 + turn * worst, 0.5 + turn * (1.0 - worst), in_words(geometry))

    def rule(self) -> str:
        return (
            f"λ is that of the direction, within {self.radius:.3g} lengths of the mean gradient around it, which lowers"
            f" the worse-off loss most ({self._measuring_in_words()}{self._scale_in_words()})."
        )


def bend(geometry: Geometry, bound: float) -> float:
    """The w in [0, 1] at which F(w) = ⟨g_w, g_0⟩ + `bound`·‖g_w‖ is least, g_w = w g_d + (1-w) g_t.

    With D = ‖g_d - g_t‖², w* = (b - c)/D and n² = (ab - c²)/D, ‖g_w‖² = D(w - w*)² + n², so F' vanishes where
    ½(a - b)·√(D(w - w*)² + n²) = -bound·D(w - w*). If the slope of the first term outweighs the second's, F'
    vanishes nowhere.
    """
    a, b, c = geometry
    spread = geometry.difference_sq
    if spread == 0.0:
        return 0.5
    slope = 0.5 * (a - b)
    excess = bound * bound * spread - slope * slope
    if excess <= 0.0:
        return geometry.least_norm_weight if slope == 0.0 else float(slope < 0.0)
    height_sq = max(0.0, a * b - c * c) / spread
    return min(1.0, max(0.0, (b - c) / spread - slope * math.sqrt(height_sq / (spread * excess))))
