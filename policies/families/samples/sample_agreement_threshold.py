"""Trusts the teacher on the samples whose label it finds likely."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from policies.parameter import percent, real
from policies.sample import SampleObservation, SamplePolicy, two_weights

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleAgreementThreshold(SamplePolicy):
    """One λ for samples whose label the teacher finds likely, another for the rest.

    λ_n is `above` where the teacher's probability of the label exceeds `threshold`, else `below`. The rule looks at
    teacher and label only, so it sees that they disagree but not which of them is wrong. Both λ are free.

    Source: Meng et al. 2019, Conditional Teacher-Student Learning (arXiv 1904.12399), is the hard case `above` = 1,
    `below` = 0. Its condition is "the teacher's first choice is the label", without a threshold.
    """

    family: ClassVar[str] = "sample_agreement_threshold"
    source: ClassVar[str] = "conditional teacher-student learning, arXiv 1904.12399"

    threshold: float = real(
        0.5, low=0.0, high=1.0, search=(0.05, 0.95), meaning="teacher's probability of the label at which λ switches"
    )
    above: float = real(0.9, low=0.0, high=1.0, meaning="λ of samples on which the teacher agrees with the label")
    below: float = real(0.1, low=0.0, high=1.0, meaning="λ of the others")

    def weights(self, samples: SampleObservation) -> Tensor:
        return two_weights(samples.agreement > self.threshold, self.above, self.below, like=samples.agreement)

    def rule(self) -> str:
        return (
            f"λ = {self.above:.3g} for a sample whose label the teacher gives a probability above"
            f" {percent(self.threshold)}, else {self.below:.3g}."
        )

    @property
    def complexity(self) -> int:
        return 3
