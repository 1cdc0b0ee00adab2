"""The λ whose step lowers the task loss most when the loss is curved alike in all directions."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.bases.mixing import ClosedFormPolicy, in_words
from policies.geometry import Geometry
from policies.parameter import real
from policies.policy import Decision


@dataclasses.dataclass(kw_only=True, eq=False)
class TaylorCurvature(ClosedFormPolicy):
    """λ = clip((1/(ηκ) - 1)(c - b)/(a + b - 2c), 0, 1), the minimum over λ of the task loss to second order.

    With the Hessian κI a step η along g_λ changes the task loss by -η⟨g_t, g_λ⟩ + ½η²κ‖g_λ‖². `step` = ηκ is the
    length of the step relative to the curvature. Towards 0 only the slope counts: λ is 1 where c > b and 0 elsewhere.
    At 1 the task gradient alone reaches the minimum, so λ = 0. Towards infinity only the length counts: λ is MGDA's.

    Source: second-order expansion of the loss over one step.
    """

    family: ClassVar[str] = "taylor_curvature"
    source: ClassVar[str] = "second-order expansion; MGDA (1810.04650) in the limit"
    numbers: ClassVar[int] = 1

    step: float = real(
        4.0, low=1e-6, high=1e6, search=(0.1, 10.0), log=True, meaning="ηκ: learning rate times curvature"
    )

    def of_pair(self, geometry: Geometry) -> Decision:
        _, b, c = geometry
        spread = geometry.difference_sq
        if spread == 0.0:
            return Decision(0.5, reason=f"{in_words(geometry)}: like gradients")
        free = (1.0 / self.step - 1.0) * (c - b) / spread
        weight = min(1.0, max(0.0, free))
        return Decision(weight, reason=in_words(geometry), branch=(free >= 1.0) - (free <= 0.0))

    def rule(self) -> str:
        return (
            f"λ = ({1.0 / self.step - 1.0:.3g})·(c - b)/(a + b - 2c), kept between 0 and 1; a and b are the squared"
            " lengths of the distillation and the task gradient, c their inner product"
            f" ({self._measuring_in_words()})."
        )
