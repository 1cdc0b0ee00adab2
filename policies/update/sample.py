"""Carries out an update under a rule that chooses one λ for each sample."""

from __future__ import annotations

import torch
from torch import Tensor

from policies.geometry import Geometry
from policies.policy import Decision, Measurement
from policies.sample import SamplePolicy
from policies.update.base import Plan, Update, carried_out, mixing_weights
from policies.update.objective import Factor, Objective, mean_of
from policies.update.readings import Readings
from policies.update.sampled import SampledPair
from policies.update.student import Student


class SampleUpdate(Update):
    """An update with a λ for each sample, and one backward pass of the weighted mean.

    No sample's λ depends on other samples, so micro-batches make no difference.
    """

    def __init__(self, policy: SamplePolicy, plan: Plan, student: Student) -> None:
        super().__init__(plan, student)
        self._policy = policy
        self._readings = Readings(plan.wanted, Measurement(tier="logit"), student)
        self._given: list[Tensor] = []
        self._mean: Tensor | None = None
        self._present = 0.0
        if plan.probe:
            student.check_two_gradients(("`measure_now` measures the gradients of all parameters", "leave it out"))

    @property
    def takes_gradients_apart(self) -> bool:
        return self.plan.probe

    def _add(self, objective: Objective, *, share: float, factor: Factor, last: bool) -> None:
        assert isinstance(objective, SampledPair)  # the balancer has refused a `LossPair`
        weights = self.plan.weigh(self._policy, objective.samples(self.plan.step, self.plan.progress))
        self._given.append(weights)
        part = share * mean_of(weights)
        self._present += 0.0 if objective.empty else share
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
                more["mixed_loss"] = mean_of(torch.lerp(*losses, weights.to(losses[0].dtype)))
            present = self._present / self._share
            if self._student.ranks.count > 1:  # some ranks may have no sample
                more["present_share"] = torch.tensor(present)
            known = self._observe(self._readings, weight=self._mean / self._share, **more)
            weight = known["weight"] / (known.get("present_share", present) or 1.0)
            samples = sum(map(len, self._given))
            if self.verdict is None:
                geometry = self._closer_look(objective, factor) if self.plan.looks_closer(weight) else None
                mixed_loss = known.get("mixed_loss")
                self.verdict = self.plan.review_samples(self.observation, weight, samples, geometry, mixed_loss)
            elif not self.verdict.replaced:
                self.verdict = self.verdict._replace(decision=self.plan.of_mean(weight, samples))
        if last:
            self.weights = carried_out(torch.cat(self._given), self.verdict)
        if self.verdict.skip:
            return
        if self.verdict.replaced:
            objective.backward(*mixing_weights(self.verdict.decision), factor=share * factor)
        else:
            objective.backward_weighted(weights, factor=share * factor)

    def _decide_blindly(self) -> Decision:
        self.weights = torch.zeros(0)
        return Decision(self.plan.within(0.5), reason="no sample")

    def _closer_look(self, objective: SampledPair, factor: Factor) -> Geometry:
        """Measure the geometry at the outputs if one loss has all the weight, to see whether it has a gradient."""
        readings = Readings(frozenset({"geometry"}), Measurement(tier="logit"), self._student)
        readings.add(objective, share=1.0, factor=factor, last=True)
        geometry: Geometry = readings.transfer()["geometry"]
        return geometry
