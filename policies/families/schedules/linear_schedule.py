"""Moves λ in a straight line over the training."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from policies.parameter import real
from policies.policy import BatchPolicy, Decision, Need, Observation


@dataclasses.dataclass(kw_only=True, eq=False)
class LinearSchedule(BatchPolicy):
    """λ moves from `start` to `end` at a constant pace: λ(p) = start + (end - start)·p."""

    family: ClassVar[str] = "linear_schedule"
    source: ClassVar[str] = "annealing practice"

    start: float = real(0.9, low=0.0, high=1.0, meaning="λ at the first step")
    end: float = real(0.5, low=0.0, high=1.0, meaning="λ towards the end")

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"progress"})

    def decide(self, observation: Observation) -> Decision:
        weight = self.start + (self.end - self.start) * observation.progress
        return Decision(min(1.0, max(0.0, weight)), reason="linear")

    def rule(self) -> str:
        return f"λ moves from {self.start:.3g} to {self.end:.3g} in a straight line over the training."

    @property
    def complexity(self) -> int:
        return 2
