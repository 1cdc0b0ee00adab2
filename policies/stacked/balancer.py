"""Weighs the losses of students that train as one stacked model, each under a policy and a guard of its own.

The students have one architecture. R: students, here members; B: samples of a member's batch; C: classes; P: trainable
parameters of a student.

PyTorch computes for all members at once. Policies and guards decide for each member from its own floats, as
`LossBalancer` does for one student. Rows of different members never mix, so a member that fails does not affect the
others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from policies.balancer import LossBalancer
from policies.errors import PolicyError
from policies.geometry import Geometry
from policies.guard import Guard, Verdict
from policies.guarding.intervention import Intervention
from policies.policy import RELIABILITIES, BatchPolicy, Observation
from policies.sample import SamplePolicy, weigh
from policies.stacked.pair import StackedPair, geometries, mix
from policies.update.base import Plan, Step, carried_out, decision_of_mean, mixing_weights
from policies.update.reliability import StackedTables


class StackedStep(NamedTuple):
    """The result of one update of all members.

    `gradient`, [R, P], is what the optimiser must follow; it is None if all members are skipped. The members in
    `skipped` take no step; their rows mean nothing.
    """

    steps: tuple[Step, ...]
    gradient: Tensor | None
    skipped: frozenset[int]


class _Choice(NamedTuple):
    """The decision for a member; `geometry` is that of the whole student, if both gradients were taken."""

    observation: Observation
    verdict: Verdict
    geometry: Geometry | None


class StackedBalancer:
    """The balancers of R students, on logits that one stacked model gave.

    Args:
        balancers: those of students of one architecture, in one process, without gradient scaling. Their policies are
            of one family with the same parameters, and their guards have the same bounds. They are at the same step of
            trainings of the same length.

    Raises:
        PolicyError: the policies differ.
    """

    def __init__(self, balancers: Sequence[LossBalancer]) -> None:
        first = balancers[0]
        for balancer in balancers:
            if type(balancer.policy) is not type(first.policy) or balancer.policy.values() != first.policy.values():
                raise PolicyError(
                    "students that train as one must have policies of one family with the same parameters, but got"
                    f" `{first.policy.family}` {first.policy.values()} and `{balancer.policy.family}`"
                    f" {balancer.policy.values()}."
                )
        self._balancers = tuple(balancers)
        self._temperature = first.temperature

    def gradient_on_logits(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        parameters: Tensor,
        block: Sequence[Tensor],
        label_smoothing: float = 0.0,
        measure_now: bool = False,
    ) -> StackedStep:
        """Do what `LossBalancer.backward_on_logits` does, for all members; no `.grad` is changed.

        Args:
            student_logits: [R, B, C], with their graph.
            teacher_logits: [R, B, C].
            labels: [R, B] whole numbers.
            parameters: [R, P], from which the logits are computed.
            block: the last block's parameters, each [R, ...], as that graph holds them.
            label_smoothing: share of the label's mass that is spread over all classes.
            measure_now: measure the whole students' geometry even if no policy asks for it.
        """
        plans = [balancer.plan(probe=measure_now) for balancer in self._balancers]
        tables = self._tables(batch=student_logits.shape[1])
        pair = StackedPair(
            student_logits,
            teacher_logits,
            labels,
            temperature=self._temperature,
            label_smoothing=label_smoothing,
            tables=tables,
        )
        policy = self._balancers[0].policy
        weights: Tensor | None = None
        if isinstance(policy, SamplePolicy):
            choices, gradient, weights = self._weigh_samples(policy, plans, pair, parameters)
        else:
            choices, gradient = self._weigh_batches(plans, pair, parameters, block)
        skipped = {member for member, choice in enumerate(choices) if choice.verdict.skip}
        interventions = [choice.verdict.intervention for choice in choices]
        for member in self._broken(gradient, plans, skipped):
            guard = self._balancers[member].guard
            assert guard is not None  # `_broken` has checked
            skipped.add(member)
            interventions[member] = guard.refuse(Intervention.GRADIENT)
        if tables is not None:
            tables.note(pair.answers)
        steps = []
        task_losses, distill_losses = pair.task_losses.unbind(), pair.distill_losses.unbind()
        for member, (balancer, choice) in enumerate(zip(self._balancers, choices, strict=True)):
            balancer.step += 1
            steps.append(
                Step(
                    choice.observation,
                    choice.verdict.decision,
                    choice.geometry,
                    task_losses[member],
                    distill_losses[member],
                    None if weights is None else carried_out(weights[member], choice.verdict),
                    interventions[member],
                )
            )
        return StackedStep(tuple(steps), None if len(skipped) == len(steps) else gradient, frozenset(skipped))

    def _tables(self, *, batch: int) -> StackedTables | None:
        tables = [balancer.reliability for balancer in self._balancers if balancer.reliability is not None]
        return StackedTables(tables, batch) if tables else None

    def _weigh_batches(
        self, plans: Sequence[Plan], pair: StackedPair, parameters: Tensor, block: Sequence[Tensor]
    ) -> tuple[list[_Choice], Tensor]:
        """Follow `BatchUpdate`. If one member measures, all are measured, but each is shown only what it asked for."""
        policy = self._balancers[0].policy
        assert isinstance(policy, BatchPolicy)
        how = policy.measurement
        measuring = ["geometry" in plan.reads for plan in plans]
        measured_whole = any(measuring) and how.tier == "full"
        found: dict[str, Tensor] = {}
        gradients: tuple[Tensor, Tensor] | None = None
        if any(measuring) and how.tier == "logit":
            found["own"] = pair.logit_geometry()
        elif any(measuring) and how.tier == "last_block":
            distill, task, noise = pair.gradients(block, how.pair, retain=True)
            found["own"] = geometries(distill, task, noise)
        if plans[0].probe or measured_whole:
            distill, task, noise = pair.gradients([parameters], how.pair if measured_whole else "same")
            gradients = distill, task
            found["whole"] = geometries(distill, task)
            if measured_whole:
                found["own"] = geometries(distill, task, noise) if noise is not None else found["whole"]
        if any(plan.wants_losses for plan in plans):
            found["task_loss"], found["distill_loss"] = pair.task_losses, pair.distill_losses
        if any("teacher" in plan.reads for plan in plans):
            found["confidence"], found["agreement"] = pair.teacher_signals()
        if any("reliability" in plan.reads for plan in plans):
            found |= zip(RELIABILITIES, pair.reliability(), strict=True)
        known = _on_host(found)
        choices = [
            self._decide(member, plan, {name: values[member] for name, values in known.items()})
            for member, plan in enumerate(plans)
        ]
        weights = [mixing_weights(choice.verdict.decision) for choice in choices]
        return choices, mix(*gradients, weights) if gradients is not None else pair.gradient(parameters, weights)

    def _decide(self, member: int, plan: Plan, known: dict[str, Any]) -> _Choice:
        balancer = self._balancers[member]
        policy = balancer.policy
        assert isinstance(policy, BatchPolicy)
        own = Geometry(*known["own"]) if "geometry" in plan.reads else None
        losses = (known["task_loss"], known["distill_loss"]) if plan.wants_losses else (None, None)
        teacher = (known["confidence"], known["agreement"]) if "teacher" in plan.reads else (None, None)
        reliability = [known[name] for name in RELIABILITIES] if "reliability" in plan.reads else ()
        observation = Observation(plan.step, plan.progress, own, *losses, *teacher, *reliability)
        guard = balancer.guard
        admitted = observation
        if guard is not None:
            admitted = guard.admit(observation, chosen=plan.chosen, compared=plan.compared)
        decision = policy.decide(plan.shown(admitted))
        verdict = Verdict(decision) if guard is None else guard.review(observation, decision)
        whole = None
        if own is not None and policy.measurement.tier == "full":
            whole = own
        elif plan.probe:
            whole = Geometry(*known["whole"])
        return _Choice(observation, verdict, whole)

    def _weigh_samples(
        self, policy: SamplePolicy, plans: Sequence[Plan], pair: StackedPair, parameters: Tensor
    ) -> tuple[list[_Choice], Tensor, Tensor]:
        """Follow `SampleUpdate`; the third result is λ for each sample, [R, B]."""
        samples = pair.samples(plans[0].step, plans[0].progress)
        weights = pair.by_member(weigh(policy, samples))
        guards = [balancer.guard for balancer in self._balancers]
        if guards[0] is not None:
            weights = weights.clamp(guards[0].lowest, guards[0].highest)
        found = {"weight": weights.mean(1)}
        if plans[0].probe:
            distill, task, _ = pair.gradients([parameters], "same", retain=True)
            found["whole"] = geometries(distill, task)
        if plans[0].checked:
            found["task_loss"], found["distill_loss"] = pair.task_losses, pair.distill_losses
            found["mixed_loss"] = pair.mixed_losses(weights)
        known = _on_host(found)
        closer = _closer_looks(plans, guards, pair, known["weight"])
        choices = []
        for member, (plan, guard) in enumerate(zip(plans, guards, strict=True)):
            decision = decision_of_mean(known["weight"][member], pair.batch, guard)
            losses = (known["task_loss"][member], known["distill_loss"][member]) if plan.checked else (None, None)
            observation = Observation(plan.step, plan.progress, None, *losses)
            verdict = Verdict(decision)
            if guard is not None:
                seen = observation._replace(geometry=closer[member])
                guard.admit(seen, chosen=plan.chosen, compared=plan.compared)
                verdict = guard.review(observation, decision, known["mixed_loss"][member] if plan.checked else None)
            whole = Geometry(*known["whole"][member]) if plan.probe else None
            choices.append(_Choice(observation, verdict, whole))
        instead = {
            member: mixing_weights(choice.verdict.decision)
            for member, choice in enumerate(choices)
            if choice.verdict.replaced
        }
        return choices, pair.gradient_weighted(parameters, weights, instead), weights

    def _broken(self, gradient: Tensor, plans: Sequence[Plan], skipped: set[int]) -> list[int]:
        """Return the members, of those not skipped, whose guards check the gradient and find it not finite."""
        looking = [
            member
            for member, (balancer, plan) in enumerate(zip(self._balancers, plans, strict=True))
            if balancer.guard is not None and plan.checked and member not in skipped
        ]
        if not looking:
            return []
        guard = self._balancers[looking[0]].guard
        assert guard is not None
        if guard.all_finite([gradient]):
            return []
        finite = gradient.isfinite().all(1).tolist()
        return [member for member in looking if not finite[member]]


def _closer_looks(
    plans: Sequence[Plan], guards: Sequence[Guard | None], pair: StackedPair, weights: Sequence[float]
) -> list[Geometry | None]:
    """Measure the geometry at the logits of the members whose samples all leave nothing to one loss.

    It follows `SampleUpdate`; the geometry is None for other members.
    """
    looked_at = [
        guard is not None and plan.checked and guard.alone(weight)
        for guard, plan, weight in zip(guards, plans, weights, strict=True)
    ]
    if not any(looked_at):
        return [None] * len(plans)
    found = _on_host({"own": pair.logit_geometry()})["own"]
    return [Geometry(*numbers) if looked else None for numbers, looked in zip(found, looked_at, strict=True)]


def _on_host(found: dict[str, Tensor]) -> dict[str, list[Any]]:
    """Return values, each [R] or [R, 3], as lists, with one transfer from a GPU."""
    if all(value.is_cpu for value in found.values()):
        return {name: value.tolist() for name, value in found.items()}
    columns = [value.double().reshape(len(value), -1) for value in found.values()]
    rows: list[list[float]] = torch.cat(columns, 1).tolist()
    known: dict[str, list[Any]] = {}
    end = 0
    for (name, value), column in zip(found.items(), columns, strict=True):
        begin, end = end, end + column.shape[1]
        known[name] = [row[begin:end] if value.ndim == 2 else row[begin] for row in rows]
    return known
