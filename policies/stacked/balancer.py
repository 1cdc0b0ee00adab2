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
from policies.policy import MEASURED, BatchPolicy, Need, Observation
from policies.sample import SamplePolicy
from policies.stacked.pair import StackedPair, geometries, mix
from policies.update.base import Plan, Step, carried_out, mixing_weights
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
        for member, guard in _broken(gradient, plans, skipped).items():
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
            found["geometry"] = pair.output_geometry()
        elif any(measuring) and how.tier == "last_block":
            distill, task, noise = pair.gradients(block, how.pair, retain=True)
            found["geometry"] = geometries(distill, task, noise)
        if plans[0].probe or measured_whole:
            distill, task, noise = pair.gradients([parameters], how.pair if measured_whole else "same")
            gradients = distill, task
            found["whole"] = geometries(distill, task)
            if measured_whole:
                found["geometry"] = geometries(distill, task, noise) if noise is not None else found["whole"]
        wanted = frozenset[Need]().union(*(plan.wanted for plan in plans))
        if "losses" in wanted:
            found["task_loss"], found["distill_loss"] = pair.task_losses, pair.distill_losses
        for need in wanted - {"geometry", "losses"}:
            found |= pair.signals(need)
        choices = []
        for plan, balancer, known in zip(plans, self._balancers, _on_host(found, pair.members), strict=True):
            assert isinstance(balancer.policy, BatchPolicy)
            observation = _observed(plan, known)
            whole = observation.geometry if how.tier == "full" else None
            verdict = plan.judge(balancer.policy, observation)
            choices.append(_Choice(observation, verdict, whole or (known["whole"] if plan.probe else None)))
        weights = [mixing_weights(choice.verdict.decision) for choice in choices]
        return choices, mix(*gradients, weights) if gradients is not None else pair.gradient(parameters, weights)

    def _weigh_samples(
        self, policy: SamplePolicy, plans: Sequence[Plan], pair: StackedPair, parameters: Tensor
    ) -> tuple[list[_Choice], Tensor, Tensor]:
        """Follow `SampleUpdate`; the third result is λ for each sample, [R, B]."""
        weights = pair.by_member(plans[0].weigh(policy, pair.samples(plans[0].step, plans[0].progress)))
        found = {"weight": weights.mean(1)}
        if plans[0].probe:
            distill, task, _ = pair.gradients([parameters], "same", retain=True)
            found["whole"] = geometries(distill, task)
        if plans[0].checked:
            found["task_loss"], found["distill_loss"] = pair.task_losses, pair.distill_losses
            found["mixed_loss"] = pair.mixed_losses(weights)
        numbers = _on_host(found, pair.members)
        looks = [plan.looks_closer(known["weight"]) for plan, known in zip(plans, numbers, strict=True)]
        closer = _on_host({"geometry": pair.output_geometry()} if any(looks) else {}, pair.members)
        choices = []
        for plan, known, look, close in zip(plans, numbers, looks, closer, strict=True):
            observation = _observed(plan, known)
            geometry = close["geometry"] if look else None
            verdict = plan.review_samples(observation, known["weight"], pair.batch, geometry, known.get("mixed_loss"))
            choices.append(_Choice(observation, verdict, known.get("whole")))
        instead = {
            member: mixing_weights(choice.verdict.decision)
            for member, choice in enumerate(choices)
            if choice.verdict.replaced
        }
        return choices, pair.gradient_weighted(parameters, weights, instead), weights


def _observed(plan: Plan, known: dict[str, Any]) -> Observation:
    """Return the observation of a member, with what was wanted of it alone."""
    return Observation(
        plan.step, plan.progress, **{name: known[name] for need in plan.wanted for name in MEASURED[need]}
    )


def _broken(gradient: Tensor, plans: Sequence[Plan], skipped: set[int]) -> dict[int, Guard]:
    """Return the members, of those not skipped, whose guards check the gradient and find it not finite."""
    guards = {
        member: plan.guard
        for member, plan in enumerate(plans)
        if plan.guard is not None and plan.checked and member not in skipped
    }
    if not guards or next(iter(guards.values())).all_finite([gradient]):
        return {}
    finite = gradient.isfinite().all(1).tolist()
    return {member: guard for member, guard in guards.items() if not finite[member]}


def _on_host(found: dict[str, Tensor], members: int) -> list[dict[str, Any]]:
    """Return each member's numbers and geometries from values [R] and [R, 3], with one transfer from a GPU."""
    if not all(value.is_cpu for value in found.values()):
        columns = [value.double().reshape(members, -1) for value in found.values()]
        parts = torch.split(torch.cat(columns, 1).cpu(), [column.shape[1] for column in columns], 1)
        found = {name: part.squeeze(1) for name, part in zip(found, parts, strict=True)}
    lists = {
        name: [Geometry(*row) for row in value.tolist()] if value.ndim == 2 else value.tolist()
        for name, value in found.items()
    }
    return [{name: rows[member] for name, rows in lists.items()} for member in range(members)]
