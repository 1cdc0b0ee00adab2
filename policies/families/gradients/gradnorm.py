"""The loss that has fallen less gets the larger share of the step."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.bases.mixing import log_loss_ratio
from policies.geometric import GeometricPolicy, log_ratio
from policies.geometry import Geometry
from policies.parameter import real
from policies.policy import Decision, Need, Observation, State


@dataclasses.dataclass(kw_only=True, eq=False)
class GradNorm(GeometricPolicy):
    """w_d/w_t = (‖g_t‖/‖g_d‖)·(r_d/r_t)^α, r_i = (L_i/L_i(0))/mean: the loss that lags gets more weight.

    These are the weights at which GradNorm's own loss vanishes. The published method takes a gradient step towards them
    at each batch, and keeps w_d + w_t = 2; here the sum is 1. α = 0 is `norm_balance` at κ = 1. L_i(0) is the loss at
    the first measurement.

    Source: Chen et al. 2018 (arXiv 1711.02257), equations 1 and 2.
    """

    family: ClassVar[str] = "gradnorm"
    source: ClassVar[str] = "fixed point of GradNorm, arXiv 1711.02257"

    asymmetry: float = real(
        0.5, low=0.0, high=10.0, search=(0.12, 1.5), meaning="α: how strongly a loss that lags is favoured"
    )

    def _begin(self) -> None:
        super()._begin()
        self._initial: float | None = None

    @property
    def needs(self) -> frozenset[Need]:
        return super().needs | {"losses"}

    def readings(self, observation: Observation) -> tuple[float, ...] | None:
        readings = super().readings(observation)
        if readings is None:
            return None
        return *readings, log_loss_ratio(observation.task_loss, observation.distill_loss)

    def of_geometry(self, geometry: Geometry) -> tuple[float, ...]:
        return (log_ratio(geometry),)

    def respond(self, means: tuple[float, ...]) -> Decision:
        log_norms, log_losses = means
        if self._initial is None:
            self._initial = log_losses
        lag = log_losses - self._initial
        # λ = 1/(1 + w_t/w_d), by tanh, since exp may overflow.
        weight = 0.5 + 0.5 * math.tanh(0.5 * (self.asymmetry * lag - log_norms))
        return Decision(weight, reason=f"norm ratio {math.exp(log_norms):.3g}, relative loss {math.exp(lag):.3g}")

    def rule(self) -> str:
        return (
            f"λ = x/(1 + x), x = (u^{self.asymmetry:.3g})/r, r = length of the distillation gradient over the task"
            " gradient's, u = share of its first value that the distillation loss has kept over the task loss's share"
            f" ({self._measuring_in_words()})."
        )

    def state_dict(self) -> State:
        return {**super().state_dict(), "initial": self._initial}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._initial = state["initial"]
