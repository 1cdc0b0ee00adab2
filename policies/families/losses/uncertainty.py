"""Weighs each loss by a learned uncertainty."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.bases.loss_based import ScaledLossPolicy
from policies.measuring import kept_share
from policies.parameter import real
from policies.policy import Decision, State


@dataclasses.dataclass(kw_only=True, eq=False)
class Uncertainty(ScaledLossPolicy):
    """Each loss has a log-variance s_i, learned along with the student by descent on ½e^(−s_i) L_i + ½s_i.

    The weights are w_i = ½e^(−s_i), so λ = 1/(1 + e^(s_d − s_t)). s_i moves towards log L_i,
    where the objective has its minimum, by ½·`rate`·(1 − e^(−s_i) L_i) a reading, and never past it. The larger the
    rate, the nearer the rule is to that of the losses' ratio. It changes with the losses' unit: s_t starts at 0.

    Source: Kendall, Gal and Cipolla 2018 (arXiv 1705.07115), equation 7 with s = log σ².
    """

    family: ClassVar[str] = "uncertainty"
    source: ClassVar[str] = "homoscedastic uncertainty, arXiv 1705.07115"

    start: float = real(
        0.0,
        low=-10.0,
        high=10.0,
        search=(-3.0, 3.0),
        tie="losses",
        meaning="s_d at the first step; 0 gives both losses one weight",
    )
    rate: float = real(
        0.02,
        low=0.0,
        high=10.0,
        search=(1e-3, 1.0),
        log=True,
        tie="steps",
        meaning="learning rate of both log-variances",
    )
    smoothing: float = kept_share(
        0.0,
        searched=False,
        meaning="share of the losses' running mean kept at each reading; the log-variances average already",
    )

    def _begin(self) -> None:
        super()._begin()
        self._distill, self._task = self.start, 0.0

    def respond(self, means: tuple[float, ...]) -> Decision:
        decision = self.mix(
            -self._distill - math.log(2.0),
            -self._task - math.log(2.0),
            f"log-variances {self._distill:.3g} and {self._task:.3g}",
        )
        # As in a joint descent, this step's weights are those from before this step's update.
        self._distill, self._task = (
            self._descended(value, log_loss) for value, log_loss in zip((self._distill, self._task), means, strict=True)
        )
        return decision

    def _descended(self, value: float, log_loss: float) -> float:
        moved = value - 0.5 * self.rate * (1.0 - math.exp(log_loss - value))
        return min(moved, log_loss) if value < log_loss else max(moved, log_loss)

    def rule(self) -> str:
        return (
            "λ = v_t/(v_d + v_t), where the variances v follow the two losses"
            f" at learning rate {self.rate:.3g} from {math.exp(self.start):.3g} for the teacher's and 1 for the labels'"
            f" ({self._measuring_in_words()}){self._scale_in_words()}."
        )

    def state_dict(self) -> State:
        return {**super().state_dict(), "distill_log_variance": self._distill, "task_log_variance": self._task}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._distill, self._task = state["distill_log_variance"], state["task_log_variance"]
