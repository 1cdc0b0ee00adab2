"""Trusts the teacher on the samples on which it pulls at most a few times as hard as the label."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from policies.parameter import real
from policies.sample import SampleObservation, SamplePolicy, two_weights

if TYPE_CHECKING:
    from torch import Tensor


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

    @property
    def complexity(self) -> int:
        return 3
