"""One update of the student, from its first micro-batch to its last."""

from __future__ import annotations

import abc
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from policies.geometry import Geometry
from policies.guard import Guard, Verdict
from policies.guarding.intervention import Intervention
from policies.policy import BatchPolicy, Decision, Measurement, Need, Observation
from policies.sample import SampleObservation, SamplePolicy, weigh
from policies.update.objective import Factor, Objective
from policies.update.readings import PairSum, Readings
from policies.update.student import Student

_WHOLE = Measurement()

DecideOn = Literal["update", "first"]
"""The micro-batches that decide λ of an accumulated update: all of them, or the first alone."""


class Step(NamedTuple):
    """The record of one update's calls of `backward`.

    `observation` holds the readings for policy and guard. `decision` is the one that was carried out; for a rule of
    sample scope its weight is the mean of `weights`, λ for each of the update's samples ([N]). `geometry` is that of
    the whole student, if both gradients were taken. Losses are detached scalars of this rank, summed over the
    micro-batches.
    """

    observation: Observation
    decision: Decision
    geometry: Geometry | None
    task_loss: Tensor
    distill_loss: Tensor
    weights: Tensor | None = None
    intervention: str | None = None

    @property
    def step(self) -> int:
        """The number of updates before this one."""
        return self.observation.step


class Plan(NamedTuple):
    """The way an update is carried out; settled at its first micro-batch.

    `reads` names the readings that the policy looks at, progress apart. `guard` reviews the decision, if there is one.
    `probe` is True if the whole student's geometry is wanted for the record, `several` if further micro-batches follow,
    `scaled` if a gradient scaler decides about skipping. `chosen` and `compared` are as for `Guard.admit`.
    """

    step: int
    progress: float
    reads: frozenset[Need]
    guard: Guard | None
    probe: bool
    several: bool
    scaled: bool
    chosen: bool
    compared: bool

    @property
    def checked(self) -> bool:
        """True if the guard looks at the losses."""
        return self.guard is not None and self.guard.checks_at(self.step)

    @property
    def wanted(self) -> frozenset[Need]:
        """The needs that the policy reads, and the losses if the guard looks at them, as at each measurement."""
        return self.reads | {"losses"} if self.checked or "geometry" in self.reads else self.reads

    def shown(self, observation: Observation) -> Observation:
        """Return the observation that the policy is shown, without losses that only the guard asked for."""
        if "losses" in self.reads:
            return observation
        return observation._replace(task_loss=None, distill_loss=None)

    def judge(self, policy: BatchPolicy, observation: Observation) -> Verdict:
        """Ask the policy, which is shown only what it asked for, and then the guard."""
        return self.review(observation, policy.decide(self.shown(self.admit(observation))))

    def admit(self, observation: Observation) -> Observation:
        """Return the observation without the readings that the guard hides from the policy."""
        if self.guard is None:
            return observation
        return self.guard.admit(observation, chosen=self.chosen, compared=self.compared)

    def review(self, observation: Observation, decision: Decision, mixed_loss: float | None = None) -> Verdict:
        """Return the guard's verdict on a decision; see `Guard.review`."""
        verdict = Verdict(decision) if self.guard is None else self.guard.review(observation, decision, mixed_loss)
        # A gradient scaler skips the step itself, and it must see the gradients that make it skip.
        return verdict._replace(skip=False) if self.scaled else verdict

    def review_samples(
        self, observation: Observation, mean: float, samples: int, geometry: Geometry | None, mixed_loss: float | None
    ) -> Verdict:
        """Return the guard's verdict on one λ a sample.

        Args:
            observation: the readings of the step.
            mean: λ, averaged over the samples.
            samples: their number.
            geometry: one that was measured for the guard alone.
            mixed_loss: the loss that is trained.
        """
        self.admit(observation if geometry is None else observation._replace(geometry=geometry))
        return self.review(observation, self.of_mean(mean, samples), mixed_loss)

    def of_mean(self, mean: float, samples: int) -> Decision:
        """Return the decision that stands for one λ a sample: their mean, within the bounds.

        Each λ is within the bounds, but rounding may carry their mean beyond.
        """
        return Decision(self.within(mean), reason=f"mean over {samples} samples")

    def within(self, weight: float) -> float:
        """Clip λ to the guard's bounds."""
        return weight if self.guard is None else self.guard.within(weight)

    def weigh(self, policy: SamplePolicy, samples: SampleObservation) -> Tensor:
        """Return λ for each sample, within the guard's bounds."""
        weights = weigh(policy, samples)
        return weights if self.guard is None else weights.clamp(self.guard.lowest, self.guard.highest)

    def looks_closer(self, weight: float) -> bool:
        """Tell whether the guard wants the geometry at the logits, since λ leaves nothing to one of the losses."""
        return self.checked and self.guard is not None and self.guard.alone(weight)


class Update(abc.ABC):
    """One update: what is known of it, and what its micro-batches add to `.grad`."""

    def __init__(self, plan: Plan, student: Student) -> None:
        self.plan = plan
        self._student = student
        self._losses: tuple[Tensor, Tensor] | None = None
        self._share = 0.0
        self._empty = True
        self._pair: PairSum | None = None
        self.observation = Observation(step=plan.step, progress=plan.progress)
        self.verdict: Verdict | None = None
        self.geometry: Geometry | None = None
        self.weights: Tensor | None = None

    @property
    @abc.abstractmethod
    def takes_gradients_apart(self) -> bool:
        """True if the gradients of both losses in parameters are taken, and not only that of their mix."""

    def add(self, objective: Objective, *, share: float, factor: Factor, last: bool) -> None:
        """Process one micro-batch.

        Args:
            objective: its losses.
            share: its samples as a share of the update's; 1 if its losses are divided already.
            factor: the number that a gradient scaler multiplies the losses by.
            last: True if the optimiser's step follows.
        """
        self._empty = self._empty and objective.empty
        task_loss, distill_loss = objective.task_loss, objective.distill_loss
        if share != 1.0:
            task_loss, distill_loss = task_loss * share, distill_loss * share
        if self._losses is not None:
            task_loss, distill_loss = self._losses[0] + task_loss, self._losses[1] + distill_loss
        self._losses = task_loss, distill_loss
        self._share += share
        # Other ranks wait for this rank's gradients, and a gradient scaler needs some gradients.
        if not self._empty or self._student.ranks.count > 1 or self.plan.scaled:
            self._add(objective, share=share, factor=factor, last=last)
        elif last:
            decision = self._decide_blindly()
            kind = Intervention.EMPTY
            guard = self.plan.guard
            reason = kind.because("step skipped") if guard is None else guard.refuse(kind, self.plan.step)
            self.verdict = Verdict(decision, skip=True, intervention=reason)

    def finish(self) -> Step:
        """Finish the update after its last micro-batch; return its record."""
        assert self.verdict is not None
        assert self._losses is not None
        intervention = self.verdict.intervention
        if self.verdict.skip:
            for parameter in self._student.parameters:
                parameter.grad = None
        elif self.plan.checked and self.plan.guard is not None and not self.plan.scaled:
            intervention = self.plan.guard.inspect(self._student.inspected) or intervention
        task_loss, distill_loss = self._losses
        return Step(
            self.observation,
            self.verdict.decision,
            self.geometry,
            task_loss,
            distill_loss,
            self.weights,
            intervention,
        )

    @abc.abstractmethod
    def _add(self, objective: Objective, *, share: float, factor: Factor, last: bool) -> None: ...

    @abc.abstractmethod
    def _decide_blindly(self) -> Decision:
        """Return the decision for an update without a sample; it is not carried out."""

    def _take_pair(
        self, objective: Objective, *, factor: Factor, retain: bool, last: bool, how: Measurement = _WHOLE
    ) -> PairSum:
        """Add a micro-batch's two gradients in the whole student to the sums."""
        if self._pair is None:
            self._pair = PairSum(self._student.parameters, how, self._student.ranks)
        self._pair.add(objective, factor=factor, retain=retain, last=last)
        return self._pair

    def _observe(self, readings: Readings, **more: Tensor) -> dict[str, Any]:
        """Fill in the observation and the whole student's geometry; return all that was read, by name."""
        known = readings.transfer(**more)
        self.geometry = known.get("whole")
        fields = {name: value for name, value in known.items() if name in Observation._fields}
        self.observation = self.observation._replace(**fields)
        return known


def carried_out(weights: Tensor, verdict: Verdict) -> Tensor:
    """Return λ of every sample, as it is trained: the verdict's if that replaced the rule's."""
    return torch.full_like(weights, verdict.decision.weight) if verdict.replaced else weights


def mixing_weights(decision: Decision) -> tuple[float, float]:
    """Return (w_d, w_t) of a decision."""
    return decision.scale * decision.weight, decision.scale * (1.0 - decision.weight)
