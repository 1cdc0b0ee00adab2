"""A constant λ, moved only where it would make a loss rise."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.bases.mixing import ClosedFormPolicy, in_words
from policies.geometry import Geometry
from policies.parameter import real
from policies.policy import Decision


@dataclasses.dataclass(kw_only=True, eq=False)
class SafeInterval(ClosedFormPolicy):
    """λ0, moved to the nearest λ at which a small step raises neither loss.

    Gradients that do not conflict allow every λ. Otherwise both losses fall, to first order, for λ strictly between
    |ρ|/(r + |ρ|) and 1/(1 + r|ρ|). A λ0 outside is moved to the nearer end, where one loss stands still.

    Source: derived from ΔL_d ≈ -η(λa + (1-λ)c) and ΔL_t ≈ -η(λc + (1-λ)b); see `Geometry.safe_interval`.
    """

    family: ClassVar[str] = "safe_interval"
    source: ClassVar[str] = "first-order expansion, arXiv 2505.06270"

    weight: float = real(0.9, low=0.0, high=1.0, meaning="λ0: λ wherever it is safe")

    def of_pair(self, geometry: Geometry) -> Decision:
        low, high = geometry.safe_interval
        words = f"{in_words(geometry)}, safe between {low:.3g} and {high:.3g}"
        if self.weight < low:
            return Decision(low, reason=f"{words}: raised", branch=1)
        if self.weight > high:
            return Decision(high, reason=f"{words}: lowered", branch=2)
        return Decision(self.weight, reason=words)

    def rule(self) -> str:
        return (
            f"λ = {self.weight:.3g}, moved where the gradients conflict to the nearest λ at which neither loss rises in"
            f" a small step ({self._measuring_in_words()})."
        )
