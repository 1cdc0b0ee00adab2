"""What keeps a training safe from a rule, and from what a rule is told."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.policy import Decision, Observation, State


class Verdict(NamedTuple):
    """What the guard makes of a decision: what is done instead, whether the step is skipped, and why, if anything."""

    decision: Decision
    skip: bool = False
    intervention: str | None = None


class Guard:
    """Reviews every decision.

    Args:
        lowest: least λ.
        highest: greatest λ.
        check_every: steps between two looks at the losses and gradients, each of which waits for the device.
    """

    def __init__(self, *, lowest: float = 0.0, highest: float = 1.0, check_every: int = 1) -> None:
        if not 0.0 <= lowest <= highest <= 1.0:
            raise PolicyError(f"`lowest` <= `highest` must lie in [0, 1], but got {lowest} and {highest}.")
        if check_every < 1:
            raise PolicyError(f"`check_every` must be at least 1, but got {check_every}.")
        self.lowest, self.highest, self.check_every = lowest, highest, check_every
        self.skipped = 0
        self.interventions = 0

    def checks_at(self, step: int) -> bool:
        """Whether the losses are wanted on the host at this step."""
        return step % self.check_every == 0

    def review(self, observation: Observation, decision: Decision) -> Verdict:
        """What is to be done in place of a decision.

        Args:
            observation: all that is known at this step; the losses at the steps of `checks_at`.
            decision: the policy's.
        """
        verdict = self._review(observation, decision)
        if verdict.intervention is not None:
            self.interventions += 1
        self.skipped += verdict.skip
        return verdict

    def inspect(self, parameters: Sequence[Tensor]) -> str | None:
        """Withdraw a step's gradients if one is not finite: `.grad` = None makes optimisers pass the parameter by."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        if not gradients or bool(torch.stack(torch._foreach_norm(gradients)).isfinite().all()):
            return None
        for parameter in parameters:
            parameter.grad = None
        self.skipped += 1
        self.interventions += 1
        return "a gradient is not finite: step skipped"

    def state_dict(self) -> State:
        """What the guard remembers, as JSON numbers."""
        return {"skipped": self.skipped, "interventions": self.interventions}

    def load_state_dict(self, state: State) -> None:
        """Continue from a `state_dict`."""
        self.skipped, self.interventions = int(state["skipped"] or 0), int(state["interventions"] or 0)

    def _review(self, observation: Observation, decision: Decision) -> Verdict:
        broken_task = observation.task_loss is not None and not math.isfinite(observation.task_loss)
        broken_distill = observation.distill_loss is not None and not math.isfinite(observation.distill_loss)
        if broken_task and broken_distill:
            return Verdict(decision, skip=True, intervention="both losses are not finite: step skipped")
        if broken_task or broken_distill:
            name, weight = ("task", 1.0) if broken_task else ("distillation", 0.0)
            reason = f"the {name} loss is not finite: λ = {weight:.0f}"
            return Verdict(decision._replace(weight=weight, reason=reason), intervention=reason)
        if not math.isfinite(decision.weight) or not math.isfinite(decision.scale) or decision.scale <= 0.0:
            reason = f"the rule gave λ = {decision.weight}, s = {decision.scale}: λ = 0.5, s = 1"
            return Verdict(Decision(0.5, reason=reason, branch=decision.branch), intervention=reason)
        bounded = min(max(decision.weight, self.lowest), self.highest)
        if bounded != decision.weight:
            reason = f"λ = {decision.weight:.4g} is outside [{self.lowest:g}, {self.highest:g}]: λ = {bounded:.4g}"
            return Verdict(decision._replace(weight=bounded, reason=reason), intervention=reason)
        return Verdict(decision)
