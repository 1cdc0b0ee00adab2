"""Sets λ so that both weighted gradients count alike, and neither loss outweighs the other."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.geometric import GeometricPolicy, log_ratio
from policies.geometry import Geometry
from policies.parameter import brief, real
from policies.policy import Decision


@dataclasses.dataclass(kw_only=True, eq=False)
class NormBalance(GeometricPolicy):
    """λ = κ/(κ + r), r = ‖g_d‖/‖g_t‖: the weighted gradients' lengths stand in the ratio κ.

    At κ = 1 this is, for two losses, the direction of IMTL-G (Liu et al., ICLR 2021), Nash-MTL (arXiv 2202.01017) and
    ConFIG (arXiv 2408.11104). They differ from it only in the common scale.
    """

    family: ClassVar[str] = "norm_balance"
    source: ClassVar[str] = "IMTL-G / Nash-MTL (2202.01017) / ConFIG (2408.11104) for two losses"

    balance: float = real(
        1.0, low=1e-6, high=1e6, search=(0.1, 4.0), log=True, meaning="κ: weight of the teacher against the labels"
    )

    def of_geometry(self, geometry: Geometry) -> tuple[float, ...]:
        return (log_ratio(geometry),)

    def respond(self, means: tuple[float, ...]) -> Decision:
        ratio = math.exp(means[0])
        return Decision(self.balance / (self.balance + ratio), reason=f"norm ratio {ratio:.3g}")

    def rule(self) -> str:
        share = "as much as" if self.balance == 1.0 else f"{self.balance:.3g} times as much as"
        return (
            f"λ = {self.balance:.3g}/({self.balance:.3g} + r), r = length of the distillation gradient over the task"
            f" gradient's, so that the teacher's pull counts {share} the labels' ({self._measuring_in_words()})."
        )

    def short_rule(self) -> str:
        return f"{brief(self.balance)}/({brief(self.balance)} + norm ratio)"
