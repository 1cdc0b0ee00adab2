"""What every rule that looks at the gradients shares: when it measures, and what it does between measurements."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import ClassVar

from policies.geometry import Geometry
from policies.parameter import integer, real
from policies.policy import Decision, Observation, Policy, State
from policies.smoothing import RunningMean, Switch

# Norm ratios beyond these say only "one gradient has vanished"; a bound keeps a running mean of logs finite.
_LARGEST_RATIO = 1e12


def log_ratio(geometry: Geometry) -> float:
    """log(‖g_d‖/‖g_t‖), bounded, since ratios average geometrically; NaN where a gradient is not finite."""
    if not geometry.finite:
        return math.nan
    return math.log(min(max(geometry.norm_ratio, 1.0 / _LARGEST_RATIO), _LARGEST_RATIO))


@dataclasses.dataclass(kw_only=True, eq=False)
class GeometricPolicy(Policy):
    """A rule on a smoothed reading of the geometry, taken every `measure_every` steps.

    Between measurements the last decision stands. A measurement that is not finite is passed over.
    """

    needs_geometry: ClassVar[bool] = True
    initial_weight: ClassVar[float] = 0.5

    smoothing: float = real(
        0.9, low=0.0, high=0.999, search=(0.0, 0.99), meaning="share of the running mean kept at each measurement"
    )
    measure_every: int = integer(
        10, low=1, high=100_000, search=(1, 20), log=True, searched=False, meaning="steps between two measurements"
    )

    def _begin(self) -> None:
        self._mean = RunningMean(self.smoothing)
        self._decision = Decision(self.initial_weight, reason="nothing measured yet")

    @abc.abstractmethod
    def reading(self, geometry: Geometry) -> float:
        """The number that is smoothed."""

    @abc.abstractmethod
    def respond(self, mean: float) -> Decision:
        """The decision for a smoothed reading."""

    def measures_at(self, step: int) -> bool:
        return step % self.measure_every == 0

    def decide(self, observation: Observation) -> Decision:
        geometry = observation.geometry
        if geometry is not None and geometry.finite:
            self._decision = self.respond(self._mean.update(self.reading(geometry)))
        return self._decision

    def state_dict(self) -> State:
        return {
            "mean_total": self._mean.total,
            "mean_weight": self._mean.weight,
            "weight": self._decision.weight,
            "scale": self._decision.scale,
        }

    def load_state_dict(self, state: State) -> None:
        self._mean.total = float(state["mean_total"] or 0.0)
        self._mean.weight = float(state["mean_weight"] or 0.0)
        self._decision = Decision(
            float(state["weight"] or 0.0), float(state["scale"] or 0.0), "as before the interruption"
        )

    def _smoothing_in_words(self) -> str:
        often = "every step" if self.measure_every == 1 else f"every {self.measure_every} steps"
        if self.smoothing == 0.0:
            return f"measured {often}"
        return f"measured {often}, averaged over about {max(2, round(1 / (1 - self.smoothing)))} measurements"


@dataclasses.dataclass(kw_only=True, eq=False)
class ThresholdPolicy(GeometricPolicy):
    """One λ above a threshold on the smoothed reading and another below it, with hysteresis."""

    def _begin(self) -> None:
        super()._begin()
        self._switch = Switch(*self.margin())

    @abc.abstractmethod
    def margin(self) -> tuple[float, float]:
        """The readings (low, high) between which the switch stays as it was."""

    @abc.abstractmethod
    def weights(self) -> tuple[float, float]:
        """λ (below, above) the threshold."""

    @abc.abstractmethod
    def describe(self, mean: float, above: bool) -> str:
        """The reason of a decision."""

    def respond(self, mean: float) -> Decision:
        above = self._switch.update(mean)
        return Decision(self.weights()[above], reason=self.describe(mean, above))

    @property
    def complexity(self) -> int:
        return 3 + (self.smoothing > 0.0) + (self._switch.low < self._switch.high)

    def state_dict(self) -> State:
        return {**super().state_dict(), "above": self._switch.above}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._switch.above = None if state["above"] is None else bool(state["above"])
