"""Switches λ by the agreement of the two gradients."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.geometric import ThresholdPolicy
from policies.geometry import Geometry
from policies.parameter import real


@dataclasses.dataclass(kw_only=True, eq=False)
class CosineThreshold(ThresholdPolicy):
    """One λ while the two gradients point the same way, another while they do not.

    λ is `above` while the smoothed cosine of the gradients exceeds `threshold`, else `below`; the switch needs the
    cosine to pass the threshold by `hysteresis`.

    Source: Du et al. 2018 (arXiv 1812.02224) is the hard case `threshold` = 0, `below` = 0. That agreement calls for
    more distillation is a hypothesis, so both λ are free.
    """

    family: ClassVar[str] = "cosine_threshold"
    source: ClassVar[str] = "gradient cosine similarity, arXiv 1812.02224"

    threshold: float = real(0.3, low=-1.0, high=1.0, search=(-0.5, 0.9), meaning="cosine at which λ switches")
    above: float = real(0.9, low=0.0, high=1.0, meaning="λ while the cosine is above the threshold")
    below: float = real(0.5, low=0.0, high=1.0, meaning="λ while it is not")
    hysteresis: float = real(
        0.02, low=0.0, high=1.0, search=(0.0, 0.1), searched=False, meaning="margin around the threshold"
    )

    def of_geometry(self, geometry: Geometry) -> tuple[float, ...]:
        return (geometry.cosine,)

    def margin(self) -> tuple[float, float]:
        return self.threshold - self.hysteresis, self.threshold + self.hysteresis

    def weights(self) -> tuple[float, float]:
        return self.below, self.above

    def describe(self, mean: float, above: bool) -> str:
        return f"cosine {mean:.3f} {'above' if above else 'not above'} {self.threshold:.3g}"

    def rule(self) -> str:
        return (
            f"λ = {self.above:.3g} while the gradients' cosine is above {self.threshold:.3g}, else {self.below:.3g}"
            f" ({self._measuring_in_words()}{f', margin {self.hysteresis:.3g}' if self.hysteresis else ''})."
        )
