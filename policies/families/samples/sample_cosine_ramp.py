"""Makes λ of a sample rise (or fall) in a straight line with the agreement of teacher and label."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from policies.parameter import brief, real
from policies.sample import SampleObservation, SamplePolicy

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleCosineRamp(SamplePolicy):
    """λ_n = clip(λ0 + κ·cosine, 0, 1), the cosine being that of the sample's two pulls v_d and v_t.

    Source: the continuous form of a threshold on gradients' cosine (Du et al. 2018, arXiv 1812.02224), by sample.
    """

    family: ClassVar[str] = "sample_cosine_ramp"
    source: ClassVar[str] = "continuous form of arXiv 1812.02224, by sample at the logits"

    middle: float = real(0.5, low=0.0, high=1.0, meaning="λ of a sample on which the pulls are at right angles")
    slope: float = real(0.4, low=-2.0, high=2.0, search=(-1.0, 1.0), meaning="κ: what λ gains as the cosine gains 1")

    def weights(self, samples: SampleObservation) -> Tensor:
        return (samples.cosine * self.slope + self.middle).clamp(0.0, 1.0)

    def rule(self) -> str:
        sign = "+" if self.slope >= 0.0 else "-"
        return (
            f"λ = {self.middle:.3g} {sign} {abs(self.slope):.3g} times the cosine of the pulls of teacher and label,"
            " for each sample, kept within 0 and 1."
        )

    def short_rule(self) -> str:
        return f"{brief(self.middle)} {'+' if self.slope >= 0.0 else '-'} {brief(abs(self.slope))} sample cosine"
