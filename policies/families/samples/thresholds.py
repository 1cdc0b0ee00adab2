"""Trusts the teacher on the samples that are on one side of a threshold."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from policies.parameter import brief, percent, real
from policies.sample import SampleObservation, SamplePolicy

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleCosineThreshold(SamplePolicy):
    """One λ for samples on which teacher and label pull the same way, another for the rest.

    λ_n is `above` where the cosine of v_d and v_t exceeds `threshold`, else `below`.

    Source: Du et al. 2018 (arXiv 1812.02224), there with the gradients of a batch and `threshold` = 0, `below` = 0.
    """

    family: ClassVar[str] = "sample_cosine_threshold"
    source: ClassVar[str] = "gradient cosine similarity, arXiv 1812.02224, by sample at the logits"

    threshold: float = real(0.3, low=-1.0, high=1.0, search=(-0.5, 0.9), meaning="cosine at which λ switches")
    above: float = real(0.9, low=0.0, high=1.0, meaning="λ of samples whose cosine is above the threshold")
    below: float = real(0.5, low=0.0, high=1.0, meaning="λ of the others")

    def weights(self, samples: SampleObservation) -> Tensor:
        return two_weights(samples.cosine > self.threshold, self.above, self.below, like=samples.cosine)

    def rule(self) -> str:
        return (
            f"λ = {self.above:.3g} for a sample on which the pulls of teacher and label have a cosine above"
            f" {self.threshold:.3g}, else {self.below:.3g}."
        )

    def short_rule(self) -> str:
        return f"sample cosine > {brief(self.threshold)}: {brief(self.above)}, else {brief(self.below)}"


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleNormRatioThreshold(SamplePolicy):
    """One λ for samples on which the teacher pulls more than so many times as hard as the label, another for the rest.

    λ_n is `above` where ‖v_d‖/‖v_t‖ > `threshold`, else `below`. Once the student has a belief of its own, a wrong
    teacher output is far from it, while a right label is near. So the ratio shows which of the two is wrong.

    Source: the ratio is what GradNorm (Chen et al. 2018, arXiv 1711.02257) equalises; here it switches, by sample.
    """

    family: ClassVar[str] = "sample_norm_ratio_threshold"
    source: ClassVar[str] = "threshold on GradNorm's ratio, arXiv 1711.02257, by sample at the logits"

    threshold: float = real(
        2.0, low=1e-6, high=1e6, search=(0.1, 20.0), log=True, meaning="ratio ‖v_d‖/‖v_t‖ at which λ switches"
    )
    above: float = real(0.0, low=0.0, high=1.0, meaning="λ of samples whose ratio is above the threshold")
    below: float = real(0.9, low=0.0, high=1.0, meaning="λ of the others")

    def weights(self, samples: SampleObservation) -> Tensor:
        return two_weights(samples.norm_ratio > self.threshold, self.above, self.below, like=samples.norm_ratio)

    def rule(self) -> str:
        return (
            f"λ = {self.above:.3g} for a sample on which the teacher pulls more than {self.threshold:.3g} times as hard"
            f" as the label, else {self.below:.3g}."
        )

    def short_rule(self) -> str:
        return f"sample norm ratio > {brief(self.threshold)}: {brief(self.above)}, else {brief(self.below)}"


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

    needs = frozenset({"teacher"})

    def weights(self, samples: SampleObservation) -> Tensor:
        assert samples.agreement is not None  # `needs` names it
        return two_weights(samples.agreement > self.threshold, self.above, self.below, like=samples.agreement)

    def rule(self) -> str:
        return (
            f"λ = {self.above:.3g} for a sample whose label the teacher gives a probability above"
            f" {percent(self.threshold)}, else {self.below:.3g}."
        )

    def short_rule(self) -> str:
        return f"sample agreement > {percent(self.threshold)}: {brief(self.above)}, else {brief(self.below)}"


def two_weights(condition: Tensor, where: float, elsewhere: float, *, like: Tensor) -> Tensor:
    """Return one of two λ for each sample: `where` its condition holds, else `elsewhere`.

    The condition is [N]. The result is [N], in the dtype and on the device of `like`.
    """
    return like.new_full(like.shape, elsewhere).masked_fill(condition, where)
