"""Trusts the teacher on a batch in proportion to how often it has been right; costs no second backward pass."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar, Literal

from policies.measuring import MeasuringPolicy, kept_share, steps_between
from policies.parameter import brief, real
from policies.policy import Decision, Observation


@dataclasses.dataclass(kw_only=True, eq=False)
class ReliabilityPolicy(MeasuringPolicy):
    """λ = min(1, κ·a), a = a mean over the batch of how often teacher and label have agreed so far."""

    reading: ClassVar[Literal["class_reliability", "confidence_reliability"]]
    """The field of an observation that holds a."""
    agreeing: ClassVar[str]
    """The samples on which they have agreed, in words for the rule."""

    trust: float = real(
        1.0, low=0.0, high=100.0, search=(0.01, 2.0), log=True, meaning="κ: λ where they have always agreed"
    )
    smoothing: float = kept_share(0.0, searched=False)
    measure_every: int = steps_between(1, "readings")

    needs = frozenset({"reliability"})

    def readings(self, observation: Observation) -> tuple[float, ...]:
        rate = getattr(observation, self.reading)
        return (math.nan if rate is None else rate,)

    def respond(self, means: tuple[float, ...]) -> Decision:
        return Decision(min(1.0, max(0.0, self.trust * means[0])), reason=f"reliability {means[0]:.3f}")

    def rule(self) -> str:
        return (
            f"λ = {self.trust:.3g} times how often teacher and label have agreed so far {self.agreeing}, in the mean"
            f" over the batch, 1 at most ({self._measuring_in_words()})."
        )

    def short_rule(self) -> str:
        return f"{brief(self.trust)} × {self.family.replace('_', ' ')}"


@dataclasses.dataclass(kw_only=True, eq=False)
class ClassReliability(ReliabilityPolicy):
    """λ = min(1, κ·a), a = the mean over the batch of how often teacher and label agree on the label's class.

    Source: `sample_class_reliability`, in the mean over a batch.
    """

    family: ClassVar[str] = "class_reliability"
    source: ClassVar[str] = "`sample_class_reliability` in the mean over a batch"
    reading = "class_reliability"
    agreeing: ClassVar[str] = "on samples of the same label"


@dataclasses.dataclass(kw_only=True, eq=False)
class ConfidenceReliability(ReliabilityPolicy):
    """λ = min(1, κ·a), a = the mean over the batch of how often teacher and label agree at the teacher's confidence.

    Source: `sample_confidence_reliability`, in the mean over a batch.
    """

    family: ClassVar[str] = "confidence_reliability"
    source: ClassVar[str] = "`sample_confidence_reliability` in the mean over a batch"
    reading = "confidence_reliability"
    agreeing: ClassVar[str] = "where the teacher was about as sure"
