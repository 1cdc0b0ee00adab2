"""A constant λ: the baseline that every other rule must beat."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.parameter import brief, real
from policies.policy import BatchPolicy, Decision, Observation


@dataclasses.dataclass(kw_only=True, eq=False)
class Fixed(BatchPolicy):
    """λ never changes.

    Source: Hinton, Vinyals and Dean 2015 (arXiv 1503.02531). 0.9 at temperature 4 is common practice on CIFAR.
    """

    family: ClassVar[str] = "fixed"
    source: ClassVar[str] = "Hinton 2015, arXiv 1503.02531"

    weight: float = real(0.9, low=0.0, high=1.0, meaning="λ throughout")

    def decide(self, observation: Observation) -> Decision:  # noqa: ARG002 - a constant looks at nothing
        return Decision(self.weight, reason="constant")

    def rule(self) -> str:
        if self.weight == 0.0:
            return "λ = 0 throughout: the labels alone."
        if self.weight == 1.0:
            return "λ = 1 throughout: the teacher alone."
        return f"λ = {self.weight:.3g} throughout."

    def short_rule(self) -> str:
        if self.weight in (0.0, 1.0):
            return "labels alone" if self.weight == 0.0 else "teacher alone"
        return f"constant {brief(self.weight)}"
