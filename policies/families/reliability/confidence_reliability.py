"""Trusts the teacher on a batch in proportion to how often it has been right when it was as sure."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.bases.reliability_based import ReliabilityPolicy
from policies.policy import Observation


@dataclasses.dataclass(kw_only=True, eq=False)
class ConfidenceReliability(ReliabilityPolicy):
    """λ = min(1, κ·a), a = the mean over the batch of how often teacher and label agree at the teacher's confidence.

    Source: `sample_confidence_reliability`, in the mean over a batch.
    """

    family: ClassVar[str] = "confidence_reliability"
    source: ClassVar[str] = "`sample_confidence_reliability` in the mean over a batch"
    agreeing: ClassVar[str] = "where the teacher was about as sure"

    def of_batch(self, observation: Observation) -> float | None:
        return observation.confidence_reliability
