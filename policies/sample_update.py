"""An update under a rule of one λ a sample."""

from __future__ import annotations

import torch
from torch import Tensor

from policies.guard import Guard
from policies.objective import Factor, LogitPair, Objective
from policies.policy import Measurement
from policies.readings import Readings, Wanted
from policies.sample import SamplePolicy, weigh
from policies.student import Student
from policies.update import Plan, Update, carried_out, decision_of_mean, mixing_weights


class SampleUpdate(Update):
    """A λ for each sample, and one backward pass of the weighted mean.

    No sample's λ hangs on the others, so micro-batches make no difference.
    """

    def __init__(self, policy: SamplePolicy, plan: Plan, student: Student, guard: Guard | None) -> None:
        super().__init__(plan, student, guard)
        self._policy = policy
        self._readings = Readings(Wanted(losses=plan.checked), Measurement(tier="logit"), student)
        self._given: list[Tensor] = []
        self._mean: Tensor | None = None
        if plan.probe:
            student.check_two_gradients(("`measure_now` measures the gradients of all parameters", "leave it out"))

    @property
    def takes_gradients_apart(self) -> bool:
        return self.plan.probe

    def _add(self, objective: Objective, *, share: float, factor: Factor, last: bool) -> None:
        assert isinstance(objective, LogitPair)  # the balancer has refused the other
        weights = self._weights(objective)
        self._given.append(weights)
        part = share * weights.mean()
        self._mean = part if self._mean is None else self._mean + part
        more: dict[str, Tensor] = {}
        if self.plan.probe:
            pair = self._take_pair(objective, factor=share * factor, retain=True, last=last)
            if last:
                more["whole"] = pair.geometry(factor)
        if self.verdict is None:
            self._readings.add(objective, share=1.0, factor=factor, last=True)
        if self.verdict is None or last:
            if self.verdict is None and self.plan.checked:
                losses = objective.task_losses, objective.distill_losses
                more["mixed_loss"] = torch.lerp(*losses, weights.to(losses[0].dtype)).mean()
            known = self._observe(self._readings, weight=self._mean / self._share, **more)
            decision = decision_of_mean(known["weight"], sum(map(len, self._given)), self._guard)
            if self.verdict is None:
                self._admitted()
                self.verdict = self._review(decision, known.get("mixed_loss"))
            elif not self.verdict.replaced:
                self.verdict = self.verdict._replace(decision=decision)
        if last:
            self.weights = carried_out(torch.cat(self._given), self.verdict)
        if self.verdict.skip:
            return
        if self.verdict.replaced:
            objective.backward(*mixing_weights(self.verdict.decision), factor=share * factor)
        else:
            objective.backward_weighted(weights, factor=share * factor)

    def _weights(self, objective: LogitPair) -> Tensor:
        weights = weigh(self._policy, objective.samples(self.plan.step, self.plan.progress))
        return weights if self._guard is None else weights.clamp(self._guard.lowest, self._guard.highest)
