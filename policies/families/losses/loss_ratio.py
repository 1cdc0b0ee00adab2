"""Balances the two losses, so that neither outweighs the other by its size."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.bases.loss_based import ScaledLossPolicy
from policies.parameter import real
from policies.policy import Decision


@dataclasses.dataclass(kw_only=True, eq=False)
class LossRatio(ScaledLossPolicy):
    """λ = κL_t/(L_d + κL_t): the weighted losses stand in the ratio κ.

    With its factor T² a distillation loss is often 20 times the task loss at T = 4. So the search for κ goes up to 40.
    The published weights are w_d = κL_t/L_d and w_t = 1. At κ = 1 the direction is that of the gradient of the losses'
    geometric mean (Chennupati et al. 2019, arXiv 1904.08492). Its weights are proportional to 1/L_d and 1/L_t.

    Source: dynamic scaling of the distillation loss, as Megatron-LM's distillation does it.
    """

    family: ClassVar[str] = "loss_ratio"
    source: ClassVar[str] = "Megatron-LM's dynamic scaling; at κ = 1 the geometric mean, arXiv 1904.08492"

    balance: float = real(
        1.0, low=1e-6, high=1e6, search=(0.1, 40.0), log=True, meaning="κ: weight of the teacher against the labels"
    )

    def respond(self, means: tuple[float, ...]) -> Decision:
        ratio = means[1] - means[0]
        return self.mix(
            math.log(self.balance) + ratio, 0.0, f"task loss {math.exp(ratio):.3g} times the distillation's"
        )

    def rule(self) -> str:
        share = "as much as" if self.balance == 1.0 else f"{self.balance:.3g} times as much as"
        return (
            f"λ = {self.balance:.3g} L_task/(L_distill + {self.balance:.3g} L_task), so that the weighted distillation"
            f" loss is {share} the weighted task loss ({self._measuring_in_words()}){self._scale_in_words()}."
        )
