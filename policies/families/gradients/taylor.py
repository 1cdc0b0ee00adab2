"""Favours the gradient that lowers a chosen loss faster, by a Taylor expansion of the loss over one step."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.bases.mixing import ClosedFormPolicy, in_words
from policies.geometry import Geometry
from policies.parameter import choice, real
from policies.policy import Decision

_GOALS = {"task": "the task loss", "distill": "the distillation loss", "mean": "the mean of both losses"}


@dataclasses.dataclass(kw_only=True, eq=False)
class Taylor(ClosedFormPolicy):
    """λ = σ(k·cos(h, g_d - g_t)), h the gradient of the loss that is to fall; k → ∞ is greedy, k = 0 is λ = ½.

    A step along g_λ = λ g_d + (1-λ) g_t changes that loss by -η⟨h, g_λ⟩ to first order. ⟨h, g_λ⟩ grows with λ
    exactly when ⟨h, g_d - g_t⟩ > 0. The step's length is not penalised, so a longer gradient has an advantage.
    For h = g_t the sign is that of ρr - 1, for h = g_d of r - ρ, and for their mean of r - 1.

    Source: first-order expansion of the loss over one step, as in arXiv 2505.06270; the sigmoid makes the greedy choice
    soft.
    """

    family: ClassVar[str] = "taylor"
    source: ClassVar[str] = "first-order expansion, arXiv 2505.06270"

    sharpness: float = real(5.0, low=0.0, high=1e6, search=(2.0, 20.0), meaning="k: how decidedly λ follows the sign")
    goal: str = choice("task", options=tuple(_GOALS), searched=False, meaning="the loss that is to fall")

    def of_pair(self, geometry: Geometry) -> Decision:
        a, b, c = geometry
        gain, length_sq = {
            "task": (c - b, b),
            "distill": (a - c, a),
            "mean": (0.5 * (a - b), 0.25 * geometry.sum_sq),
        }[self.goal]
        length = math.sqrt(length_sq) * math.sqrt(geometry.difference_sq)
        cosine = max(-1.0, min(1.0, gain / length)) if length > 0.0 else 0.0
        # A sigmoid by tanh: exp overflows for sharp choices.
        weight = 0.5 + 0.5 * math.tanh(0.5 * self.sharpness * cosine)
        return Decision(weight, reason=f"{in_words(geometry)}, advantage {cosine:.3f}", branch=int(cosine > 0.0))

    def rule(self) -> str:
        return (
            f"λ = 1/(1 + exp(-{self.sharpness:.3g}·x)), x = cosine between the gradient of {_GOALS[self.goal]} and"
            " (distillation gradient - task gradient), so that λ grows while the teacher's direction lowers that loss"
            f" faster ({self._measuring_in_words()})."
        )


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

    step: float = real(
        4.0,
        low=1e-6,
        high=1e6,
        search=(0.1, 10.0),
        log=True,
        tie="learning rate",
        meaning="ηκ: learning rate times curvature",
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
