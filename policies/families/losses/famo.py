"""Favours the loss that falls more slowly."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.bases.loss_based import LossPolicy, logistic
from policies.parameter import real
from policies.policy import Decision, State

# Beyond this, λ is 0 or 1 to the last bit; a bound lets the logit return quickly.
_LARGEST_LOGIT = 40.0


@dataclasses.dataclass(kw_only=True, eq=False)
class Famo(LossPolicy):
    """Weights z_i/L_i with z = softmax of logits that rise for the loss whose logarithm falls more slowly.

    With one logit x = ξ_d − ξ_t for two losses: λ = σ(x + log L_t − log L_d), and at each reading
    x ← (1 − `decay`)·x − 2·`rate`·z_d·z_t·(δ_d − δ_t). δ_i is how much log L_i fell since the last reading. The
    published weights add up to 1.

    It is like FAMO, not equal to it. Losses are compared between the averages of successive batches, not before and
    after a step on one batch, which would cost a second forward pass. The logits take plain steps, not Adam's.

    Source: Liu et al. 2023 (FAMO, arXiv 2306.03792), algorithm 1.
    """

    family: ClassVar[str] = "famo"
    source: ClassVar[str] = "FAMO, arXiv 2306.03792, on successive batches"

    rate: float = real(1.0, low=0.0, high=1e3, search=(0.1, 10.0), log=True, meaning="learning rate of the logits")
    decay: float = real(
        0.01,
        low=0.0,
        high=1.0,
        search=(1e-3, 0.1),
        log=True,
        tie="steps",
        meaning="share of the logits forgotten at each reading",
    )

    def _begin(self) -> None:
        super()._begin()
        self._logit = 0.0
        self._last: tuple[float, ...] | None = None

    def respond(self, means: tuple[float, ...]) -> Decision:
        if self._last is not None:
            fell_distill, fell_task = (last - mean for last, mean in zip(self._last, means, strict=True))
            share = logistic(self._logit)
            step = 2.0 * self.rate * share * (1.0 - share) * (fell_distill - fell_task)
            moved = (1.0 - self.decay) * self._logit - step
            self._logit = min(max(moved, -_LARGEST_LOGIT), _LARGEST_LOGIT)
        self._last = means
        return Decision(
            logistic(self._logit + means[1] - means[0]), reason=f"share {logistic(self._logit):.3g} for the teacher"
        )

    def rule(self) -> str:
        return (
            "λ = z/L_distill over z/L_distill + (1 - z)/L_task, where z starts at one half and grows while the"
            f" distillation loss falls more slowly than the task loss (rate {self.rate:.3g}, forgetting"
            f" {self.decay:.2g} a reading; {self._measuring_in_words()})."
        )

    def state_dict(self) -> State:
        last = self._last or (None, None)
        return {**super().state_dict(), "logit": self._logit, "last_distill": last[0], "last_task": last[1]}

    def load_state_dict(self, state: State) -> None:
        super().load_state_dict(state)
        self._logit = state["logit"]
        self._last = None if state["last_task"] is None else (state["last_distill"], state["last_task"])
