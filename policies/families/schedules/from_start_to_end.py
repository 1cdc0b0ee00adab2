"""Moves λ from one end to the other over the training, in a straight line or along half a cosine."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from policies.parameter import brief, real
from policies.policy import BatchPolicy, Decision, Observation


@dataclasses.dataclass(kw_only=True, eq=False)
class LinearSchedule(BatchPolicy):
    """λ moves from `start` to `end` at a constant pace: λ(p) = start + (end - start)·p."""

    family: ClassVar[str] = "linear_schedule"
    source: ClassVar[str] = "annealing practice"

    start: float = real(0.9, low=0.0, high=1.0, meaning="λ at the first step")
    end: float = real(0.5, low=0.0, high=1.0, meaning="λ towards the end")

    needs = frozenset({"progress"})

    def decide(self, observation: Observation) -> Decision:
        weight = self.start + (self.end - self.start) * observation.progress
        return Decision(min(1.0, max(0.0, weight)), reason="linear")

    def rule(self) -> str:
        return f"λ moves from {self.start:.3g} to {self.end:.3g} in a straight line over the training."

    def short_rule(self) -> str:
        return f"line from {brief(self.start)} to {brief(self.end)}"


@dataclasses.dataclass(kw_only=True, eq=False)
class CosineSchedule(LinearSchedule):
    """λ moves along half a cosine: λ(p) = end + ½(start - end)(1 + cos πp); slow at both ends."""

    family: ClassVar[str] = "cosine_schedule"
    source: ClassVar[str] = "cosine annealing, arXiv 1608.03983, applied to λ"

    def decide(self, observation: Observation) -> Decision:
        weight = self.end + 0.5 * (self.start - self.end) * (1.0 + math.cos(math.pi * observation.progress))
        return Decision(min(1.0, max(0.0, weight)), reason="half cosine")

    def rule(self) -> str:
        return (
            f"λ moves from {self.start:.3g} to {self.end:.3g} along half a cosine over the training, slowly at"
            " both ends."
        )

    def short_rule(self) -> str:
        return f"half cosine from {brief(self.start)} to {brief(self.end)}"
