"""Holds what the rules on a batch's mean reliability share. These rules cost no second backward pass."""

from __future__ import annotations

import abc
import dataclasses
import math
from typing import ClassVar

from policies.measuring import MeasuringPolicy
from policies.parameter import integer, real
from policies.policy import Decision, Need, Observation


@dataclasses.dataclass(kw_only=True, eq=False)
class ReliabilityPolicy(MeasuringPolicy):
    """λ = min(1, κ·a), a = a mean over the batch of how often teacher and label have agreed so far."""

    agreeing: ClassVar[str]
    """The samples on which they have agreed, in words for the rule."""

    trust: float = real(
        1.0, low=0.0, high=100.0, search=(0.01, 2.0), log=True, meaning="κ: λ where they have always agreed"
    )
    smoothing: float = real(
        0.0, low=0.0, high=0.999, searched=False, meaning="share of the running mean kept at each measurement"
    )
    measure_every: int = integer(
        1, low=1, high=100_000, search=(1, 20), log=True, searched=False, meaning="steps between two readings"
    )

    @abc.abstractmethod
    def of_batch(self, observation: Observation) -> float | None:
        """a, or None where it is not given."""

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"reliability"})

    def readings(self, observation: Observation) -> tuple[float, ...]:
        rate = self.of_batch(observation)
        return (math.nan if rate is None else rate,)

    def respond(self, means: tuple[float, ...]) -> Decision:
        return Decision(min(1.0, max(0.0, self.trust * means[0])), reason=f"reliability {means[0]:.3f}")

    def rule(self) -> str:
        return (
            f"λ = {self.trust:.3g} times how often teacher and label have agreed so far {self.agreeing}, in the mean"
            f" over the batch, 1 at most ({self._measuring_in_words()})."
        )

    @property
    def complexity(self) -> int:
        return 1 + (self.smoothing > 0.0)
