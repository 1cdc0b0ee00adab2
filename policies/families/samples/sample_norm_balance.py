"""Balances the pulls of teacher and label on every sample."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from policies.parameter import brief, real
from policies.sample import SampleObservation, SamplePolicy

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(kw_only=True, eq=False)
class SampleNormBalance(SamplePolicy):
    """λ_n = κ/(κ + r_n), r_n = ‖v_d‖/‖v_t‖: on every sample the weighted pulls' lengths stand in the ratio κ.

    The source that is far from the student's belief gets less weight. κ = 1 suits confident wrong answers that labels
    and teacher do not share. A weak teacher needs a lower κ, and a teacher that can be trusted a constant λ near 1.

    Source: `norm_balance` by sample; at κ = 1, for two losses, the direction of IMTL-G, Nash-MTL (arXiv 2202.01017)
    and ConFIG (arXiv 2408.11104).
    """

    family: ClassVar[str] = "sample_norm_balance"
    source: ClassVar[str] = "IMTL-G / Nash-MTL (2202.01017) / ConFIG (2408.11104) for two losses, by sample"

    balance: float = real(
        1.0, low=1e-6, high=1e6, search=(0.1, 4.0), log=True, meaning="κ: weight of the teacher against the label"
    )

    def weights(self, samples: SampleObservation) -> Tensor:
        # κ/(κ + r) as 1/(1 + r/κ), which rounding cannot lift above 1.
        return (samples.norm_ratio / self.balance + 1.0).reciprocal()

    def rule(self) -> str:
        share = "as much as" if self.balance == 1.0 else f"{self.balance:.3g} times as much as"
        return (
            f"λ = {self.balance:.3g}/({self.balance:.3g} + r) for each sample, r = how many times as hard the teacher"
            f" pulls as the label, so that the teacher counts {share} the label on every sample."
        )

    def short_rule(self) -> str:
        return f"{brief(self.balance)}/({brief(self.balance)} + sample norm ratio)"
