"""The constant λ that a balancer falls back to."""

from __future__ import annotations

import dataclasses
from typing import ClassVar, NamedTuple

from policies.policy import BatchPolicy, Decision, Observation

FALL_BACK = -1
"""The branch of a fall-back's decisions, which no rule uses, so that a log tells them apart."""


class FallBack(NamedTuple):
    """λ and the temperature after a fall-back, and its reason."""

    weight: float
    temperature: float
    reason: str


@dataclasses.dataclass(kw_only=True, eq=False)
class FallBackPolicy(BatchPolicy):
    """λ is a constant, and each decision gives the reason of the fall-back."""

    family: ClassVar[str] = "fall_back"
    source: ClassVar[str] = ""

    weight: float
    reason: str

    def decide(self, observation: Observation) -> Decision:  # noqa: ARG002 - a constant looks at nothing
        return Decision(self.weight, reason=f"fell back to the constant: {self.reason}", branch=FALL_BACK)

    def rule(self) -> str:
        return f"λ = {self.weight:.3g} since the fall-back."
