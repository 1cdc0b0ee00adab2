"""Starts with the labels alone, then adds the teacher."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.parameter import brief, percent, real
from policies.policy import BatchPolicy, Decision, Observation


@dataclasses.dataclass(kw_only=True, eq=False)
class WarmUp(BatchPolicy):
    """λ rises in a straight line from 0 to `weight` over the first `share` of the training, then stays there.

    Source: the warm-up of decoupled distillation's training recipe (Zhao et al. 2022, arXiv 2203.08679), which ramps
    the distillation loss over the first epochs. There the task loss keeps its full weight meanwhile; here it has 1-λ.
    """

    family: ClassVar[str] = "warm_up"
    source: ClassVar[str] = "DKD's training recipe, arXiv 2203.08679"

    weight: float = real(0.9, low=0.0, high=1.0, meaning="λ after the warm-up")
    share: float = real(0.1, low=0.0, high=1.0, search=(0.0, 0.3), meaning="share of the training that warms up")

    needs = frozenset({"progress"})

    def decide(self, observation: Observation) -> Decision:
        if observation.progress < self.share:
            return Decision(self.weight * (observation.progress / self.share), reason="warming up")
        return Decision(self.weight, reason="after the warm-up", branch=1)

    def rule(self) -> str:
        if self.share == 0.0:
            return f"λ = {self.weight:.3g} throughout."
        return (
            f"λ rises from 0 to {self.weight:.3g} in a straight line over the first {percent(self.share)} of the"
            " training, then stays."
        )

    def short_rule(self) -> str:
        return f"0 to {brief(self.weight)} by {percent(self.share)}, then {brief(self.weight)}"
