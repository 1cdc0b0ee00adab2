"""Holds what all measuring rules share: when they measure, how they average, and what they do between measurements."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import Any, ClassVar

from policies.parameter import integer, real
from policies.policy import AS_BEFORE, BatchPolicy, Decision, Observation, State
from policies.smoothing import RunningMean


def kept_share(
    default: float, *, searched: bool = True, meaning: str = "share of the running mean kept at each measurement"
) -> Any:
    """Declare a dataclass field that holds the smoothing of a running mean; see `real`."""
    return real(default, low=0.0, high=0.999, search=(0.0, 0.99), searched=searched, tie="steps", meaning=meaning)


def steps_between(default: int, of: str) -> Any:
    """Declare a dataclass field that holds the number of steps between two measurements; see `integer`."""
    meaning = f"steps between two {of}"
    return integer(default, low=1, high=100_000, search=(1, 20), log=True, searched=False, meaning=meaning)


@dataclasses.dataclass(kw_only=True, eq=False)
class MeasuringPolicy(BatchPolicy):
    """A rule on smoothed readings, taken every `measure_every` steps.

    Between measurements the last decision stands. Readings that are not finite are ignored.
    """

    initial_weight: ClassVar[float] = 0.5
    """λ before the first measurement."""

    smoothing: float = kept_share(0.9)
    measure_every: int = steps_between(10, "measurements")

    def _begin(self) -> None:
        self._means: list[RunningMean] = []
        self._decision = Decision(self.initial_weight, reason="nothing measured yet")

    @abc.abstractmethod
    def readings(self, observation: Observation) -> tuple[float, ...] | None:
        """Return the numbers to be smoothed, always equally many; None if the observation lacks their source."""

    @abc.abstractmethod
    def respond(self, means: tuple[float, ...]) -> Decision:
        """The decision for smoothed readings."""

    def measures_at(self, step: int) -> bool:
        return step % self.measure_every == 0

    def decide(self, observation: Observation) -> Decision:
        if self.measures_at(observation.step):
            readings = self.readings(observation)
            if readings is not None and all(map(math.isfinite, readings)):
                self._decision = self.respond(self._smoothed(readings))
        return self._decision

    @property
    def complexity(self) -> int:
        # A rule that measures is not simpler than a constant, even if nothing in it can be tuned.
        own = super().complexity - self.parameters()["smoothing"].searched
        return max(1, own) + (self.smoothing > 0.0)

    def state_dict(self) -> State:
        state: State = {"weight": self._decision.weight, "scale": self._decision.scale, "branch": self._decision.branch}
        for index, mean in enumerate(self._means):
            state[f"mean_{index}_total"], state[f"mean_{index}_weight"] = mean.total, mean.weight
        return state

    def load_state_dict(self, state: State) -> None:
        self._decision = Decision(state["weight"], state["scale"], AS_BEFORE, state["branch"])
        self._means = []
        while (key := f"mean_{len(self._means)}_total") in state:
            self._means.append(RunningMean(self.smoothing, state[key], state[f"mean_{len(self._means)}_weight"]))

    def _smoothed(self, readings: tuple[float, ...]) -> tuple[float, ...]:
        if not self._means:
            self._means = [RunningMean(self.smoothing) for _ in readings]
        return tuple(mean.update(reading) for mean, reading in zip(self._means, readings, strict=True))

    def _measuring_in_words(self) -> str:
        often = "every step" if self.measure_every == 1 else f"every {self.measure_every} steps"
        if self.smoothing == 0.0:
            return f"measured {often}"
        return f"measured {often}, averaged over about {max(2, round(1 / (1 - self.smoothing)))} measurements"
