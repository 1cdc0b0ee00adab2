"""Trusts the teacher on the samples on which it agrees with the label."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from policies.parameter import real
from policies.sample import SampleObservation, SamplePolicy, two_weights

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

    @property
    def complexity(self) -> int:
        return 3
