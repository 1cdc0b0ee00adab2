"""Trusts the teacher on a batch in proportion to how often it has been right on the classes in it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.bases.reliability_based import ReliabilityPolicy
from policies.policy import Observation


@dataclasses.dataclass(kw_only=True, eq=False)
class ClassReliability(ReliabilityPolicy):
    """λ = min(1, κ·a), a = the mean over the batch of how often teacher and label agree on the label's class.

    Source: `sample_class_reliability`, in the mean over a batch.
    """

    family: ClassVar[str] = "class_reliability"
    source: ClassVar[str] = "`sample_class_reliability` in the mean over a batch"
    agreeing: ClassVar[str] = "on samples of the same label"

    def of_batch(self, observation: Observation) -> float | None:
        return observation.class_reliability
