"""Two constant λ, one after the other: early-stopped distillation and its variants."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.parameter import brief, percent, real
from policies.policy import BatchPolicy, Decision, Observation


@dataclasses.dataclass(kw_only=True, eq=False)
class StepSchedule(BatchPolicy):
    """λ is `before` up to a share `switch` of the training, then `after`; `after` = 0 is early-stopped distillation.

    Source: Cho and Hariharan 2019, On the Efficacy of Knowledge Distillation (ESKD, arXiv 1910.01348).
    """

    family: ClassVar[str] = "step_schedule"
    source: ClassVar[str] = "ESKD, arXiv 1910.01348"

    switch: float = real(0.6, low=0.0, high=1.0, search=(0.2, 0.9), meaning="share of the training before the switch")
    before: float = real(0.9, low=0.0, high=1.0, meaning="λ before the switch")
    after: float = real(0.0, low=0.0, high=1.0, meaning="λ from the switch on")

    needs = frozenset({"progress"})

    def decide(self, observation: Observation) -> Decision:
        if observation.progress < self.switch:
            return Decision(self.before, reason="before the switch")
        return Decision(self.after, reason="after the switch", branch=1)

    def rule(self) -> str:
        return f"λ = {self.before:.3g} for the first {percent(self.switch)} of the training, then {self.after:.3g}."

    def short_rule(self) -> str:
        return f"{brief(self.before)} until {percent(self.switch)}, then {brief(self.after)}"
