"""λ in proportion to the gradients' agreement."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.bases.mixing import ClosedFormPolicy, in_words
from policies.geometry import Geometry
from policies.parameter import brief, real
from policies.policy import Decision


@dataclasses.dataclass(kw_only=True, eq=False)
class CosineRamp(ClosedFormPolicy):
    """λ = λ0 + κρ, kept inside [0, 1]: the cosine threshold without its jump.

    A positive κ trusts the teacher more where it agrees with the labels, a negative κ where it does not. Which sign is
    right depends on what is unreliable, so a search tries both.
    """

    family: ClassVar[str] = "cosine_ramp"
    source: ClassVar[str] = "continuous form of a threshold on arXiv 1812.02224's cosine"

    weight: float = real(0.5, low=0.0, high=1.0, meaning="λ0: λ for gradients at right angles")
    slope: float = real(
        0.4, low=-100.0, high=100.0, search=(-1.0, 1.0), meaning="κ: how much λ gains per unit of cosine"
    )

    def of_pair(self, geometry: Geometry) -> Decision:
        free = self.weight + self.slope * geometry.cosine
        weight = min(1.0, max(0.0, free))
        return Decision(weight, reason=in_words(geometry), branch=(free > 1.0) - (free < 0.0))

    def rule(self) -> str:
        return (
            f"λ = {self.weight:.3g} {'+' if self.slope >= 0.0 else '-'} {abs(self.slope):.3g}·ρ, ρ = the gradients'"
            f" cosine, kept between 0 and 1 ({self._measuring_in_words()})."
        )

    def short_rule(self) -> str:
        return f"{brief(self.weight)} {'+' if self.slope >= 0.0 else '-'} {brief(abs(self.slope))} cosine"
