"""Trusts the teacher on a sample in proportion to how often it has been right when it was as sure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from policies.parameter import real
from policies.policy import Need
from policies.sample import SampleObservation, SamplePolicy

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleConfidenceReliability(SamplePolicy):
    """λ_n = min(1, κ·a_n), a_n = how often teacher and label have agreed so far where the teacher was as confident.

    Confidences are compared in ten bins of equal width.

    Source: the reliability diagram (Guo et al. 2017, arXiv 1706.04599), with the labels that the student is trained on.
    """

    family: ClassVar[str] = "sample_confidence_reliability"
    source: ClassVar[str] = "reliability diagram, arXiv 1706.04599, as a weight of each sample"

    trust: float = real(
        1.0, low=0.0, high=100.0, search=(0.01, 2.0), log=True, meaning="κ: λ where they have always agreed"
    )

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"reliability"})

    def weights(self, samples: SampleObservation) -> Tensor:
        assert samples.confidence_reliability is not None  # `needs` names it
        return (samples.confidence_reliability * self.trust).clamp_max(1.0)

    def rule(self) -> str:
        return (
            f"λ = {self.trust:.3g} times how often teacher and label have agreed so far where the teacher was about as"
            " sure as on the sample, for each sample, 1 at most."
        )

    @property
    def complexity(self) -> int:
        return 1
