"""The shortest mixed gradient: no λ lets both losses fall at a greater common rate."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.bases.mixing import in_words, log_loss_ratio, pair_of, pair_readings
from policies.geometric import GeometricPolicy
from policies.geometry import Geometry
from policies.parameter import choice
from policies.policy import Decision, Need, Observation

_UNITS = {"none": "", "l2": ", each divided by its length,", "loss": ", each divided by its loss,"}


@dataclasses.dataclass(kw_only=True, eq=False)
class MGDA(GeometricPolicy):
    """λ = clip((b - c)/(a + b - 2c), 0, 1), the point of least norm between the gradients.

    The shorter gradient gets the larger weight, so a loss whose gradient vanishes gets all weight. `normalization`
    divides both gradients first, by their lengths (`l2`) or by their losses (`loss`). The update points along the
    shortest vector between the divided gradients; λ is the weight that gives it for the undivided ones. For two losses
    `l2` is `norm_balance` at κ = 1.

    Source: Sener and Koltun 2018 (arXiv 1810.04650), the case of two tasks. Their program applies the weights
    found between the divided gradients to the undivided losses, which for two tasks and `l2` is always λ = ½.
    """

    family: ClassVar[str] = "mgda"
    source: ClassVar[str] = "MGDA for two losses, arXiv 1810.04650"

    normalization: str = choice(
        "none", options=tuple(_UNITS), searched=False, meaning="what the gradients are divided by first"
    )

    @property
    def needs(self) -> frozenset[Need]:
        return super().needs | {"losses"} if self.normalization == "loss" else super().needs

    def readings(self, observation: Observation) -> tuple[float, ...] | None:
        readings = super().readings(observation)
        if readings is None or self.normalization != "loss":
            return readings
        return *readings, log_loss_ratio(observation.task_loss, observation.distill_loss)

    def of_geometry(self, geometry: Geometry) -> tuple[float, ...]:
        return pair_readings(geometry)

    def respond(self, means: tuple[float, ...]) -> Decision:
        log_unit = {"none": 0.0, "l2": means[0], "loss": means[-1]}[self.normalization]
        least = pair_of((means[0] - log_unit, means[1])).least_norm_weight
        # w_d : w_t = least/n_d : (1 - least)/n_t, where n_d/n_t = exp(log_unit).
        weight = least / (least + (1.0 - least) * math.exp(log_unit))
        return Decision(weight, reason=in_words(pair_of(means)), branch=(least >= 1.0) - (least <= 0.0))

    def rule(self) -> str:
        return (
            f"λ is where the mix of the two gradients{_UNITS[self.normalization]} is shortest"
            f" ({self._measuring_in_words()})."
        )
