"""Switches λ where the smoothed cosine or norm ratio of the two gradients passes a threshold."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import ClassVar

from policies.geometric import GeometricPolicy, log_ratio
from policies.geometry import Geometry
from policies.parameter import brief, percent, real
from policies.policy import Decision, State
from policies.smoothing import Switch


@dataclasses.dataclass(kw_only=True, eq=False)
class ThresholdPolicy(GeometricPolicy):
    """One λ above a threshold on the smoothed reading and another below it, with hysteresis."""

    def _begin(self) -> None:
        super()._begin()
        self._switch = Switch(*self.margin())

    @abc.abstractmethod
    def margin(self) -> tuple[float, float]:
        """The readings (low, high) between which the switch keeps its state."""

    @abc.abstractmethod
    def weights(self) -> tuple[float, float]:
        """λ (below, above) the threshold."""

    @abc.abstractmethod
    def describe(self, mean: float, above: bool) -> str:
        """The reason of a decision."""

    def respond(self, means: tuple[float, ...]) -> Decision:
        (mean,) = means
        above = self._switch.update(mean)
        return Decision(self.weights()[above], reason=self.describe(mean, above), branch=int(above))

    @property
    def complexity(self) -> int:
        return super().complexity + (self._switch.low < self._switch.high)

    def state_dict(self) -> State:
        return {**super().state_dict(), "above": self._switch.above}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._switch.above = state["above"]


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

    def short_rule(self) -> str:
        return f"cosine > {brief(self.threshold)}: {brief(self.above)}, else {brief(self.below)}"


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

    def short_rule(self) -> str:
        return f"norm ratio > {brief(self.threshold)}: {brief(self.above)}, else {brief(self.below)}"
