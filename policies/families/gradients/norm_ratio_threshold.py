"""Trusts the teacher less while its gradient is much longer than the task's."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.geometric import ThresholdPolicy, log_ratio
from policies.geometry import Geometry
from policies.parameter import percent, real


@dataclasses.dataclass(kw_only=True, eq=False)
class NormRatioThreshold(ThresholdPolicy):
    """One λ while ‖g_d‖/‖g_t‖ exceeds a threshold, another while it does not.

    The ratio is averaged geometrically, and `hysteresis` is relative: the switch needs the ratio to pass
    `threshold` by the factor 1 + `hysteresis`. Batches whose teacher outputs are wrong show a ratio several times
    that of clean ones. Batches whose labels are wrong show one below it.

    Source: the ratio is what GradNorm (Chen et al. 2018, arXiv 1711.02257) equalises; here it only switches.
    """

    family: ClassVar[str] = "norm_ratio_threshold"
    source: ClassVar[str] = "threshold on GradNorm's ratio, arXiv 1711.02257"

    threshold: float = real(
        4.0, low=1e-6, high=1e6, search=(0.1, 20.0), log=True, meaning="ratio ‖g_d‖/‖g_t‖ at which λ switches"
    )
    above: float = real(0.5, low=0.0, high=1.0, meaning="λ while the ratio is above the threshold")
    below: float = real(0.9, low=0.0, high=1.0, meaning="λ while it is not")
    hysteresis: float = real(
        0.05, low=0.0, high=10.0, search=(0.0, 0.2), searched=False, meaning="relative margin around the threshold"
    )

    def of_geometry(self, geometry: Geometry) -> tuple[float, ...]:
        return (log_ratio(geometry),)

    def margin(self) -> tuple[float, float]:
        middle, half = math.log(self.threshold), math.log1p(self.hysteresis)
        return middle - half, middle + half

    def weights(self) -> tuple[float, float]:
        return self.below, self.above

    def describe(self, mean: float, above: bool) -> str:
        return f"norm ratio {math.exp(mean):.3g} {'above' if above else 'not above'} {self.threshold:.3g}"

    def rule(self) -> str:
        return (
            f"λ = {self.above:.3g} while the distillation gradient is more than {self.threshold:.3g} times as long as"
            f" the task gradient, else {self.below:.3g} ({self._measuring_in_words()}"
            f"{f', margin {percent(self.hysteresis)}' if self.hysteresis else ''})."
        )
