"""Holds the two losses of R members' batches, and takes their gradients in the members' parameters.

R: members; B: samples of a member's batch; C: classes; P: trainable parameters of a student; K: of a part of it.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.policy import Need
from policies.sample import SampleObservation
from policies.update.logits import LogitPair
from policies.update.reliability import Answers, StackedTables
from policies.update.sampled import middle_of

ALIGNED = 64
"""The count of numbers in a row that fills whole vector registers, as any multiple of it does.

In such a row, what the processor does to a member's numbers does not depend on where they lie. So a member is the same
to the last bit, whichever other members it trains with.
"""

Weights = tuple[float, float]
"""(w_d, w_t) of one member: the factors of its two losses."""


class StackedPair:
    """Cross entropy and T²·KL of every member; the losses of a member are means over its own batch.

    One `LogitPair` over all samples computes everything about single samples. Padding makes their number a multiple of
    `ALIGNED`.

    Args:
        student_logits: [R, B, C], with the graph of a stacked model, in which rows of members never mix.
        teacher_logits: [R, B, C].
        labels: [R, B] whole numbers.
        temperature: T.
        label_smoothing: share of the label's mass that is spread over all classes.
        tables: the counts of how reliable the teacher has been so far, if a rule looks at them.

    Raises:
        PolicyError: the members' batches have no sample.
    """

    def __init__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        temperature: float,
        label_smoothing: float,
        tables: StackedTables | None = None,
    ) -> None:
        self.members, self.batch, _ = student_logits.shape
        if self.batch == 0:
            raise PolicyError(f"a batch must have a sample, but got logits {list(student_logits.shape)}; leave it out.")
        self._logits = student_logits
        more = -self.members * self.batch % ALIGNED
        self._samples = LogitPair(
            _filled(student_logits.detach().flatten(0, 1), more),
            _filled(teacher_logits.flatten(0, 1), more),
            _filled(labels.flatten(), more),
            temperature=temperature,
            label_smoothing=label_smoothing,
            table=tables,
        )

    @functools.cached_property
    def task_losses(self) -> Tensor:
        """Each member's task loss in nats: [R]."""
        return self.by_member(self._samples.task_losses).mean(1)

    @functools.cached_property
    def distill_losses(self) -> Tensor:
        """Each member's distillation loss in nats: [R]."""
        return self.by_member(self._samples.distill_losses).mean(1)

    def mixed_losses(self, weights: Tensor) -> Tensor:
        """Return [R]: the means over a member's samples of λ·L_distill + (1-λ)·L_task, for λ [R, B]."""
        task = self.by_member(self._samples.task_losses)
        return torch.lerp(task, self.by_member(self._samples.distill_losses), weights.to(task.dtype)).mean(1)

    def signals(self, need: Need) -> dict[str, Tensor]:
        """Return `LogitPair.signals` as the means over a member's samples: [R] by name."""
        return {name: self.by_member(values).mean(1) for name, values in self._samples.signals(need).items()}

    @property
    def answers(self) -> Answers:
        """The answers of teacher and label on each sample, one member's after another's, then on the padding."""
        return self._samples.answers

    def samples(self, step: int, progress: float) -> SampleObservation:
        """Return the readings that a rule of sample scope may look at.

        They cover all samples and the padding: tensors [N], N ≥ R·B.
        """
        return self._samples.samples(step, progress)

    def by_member(self, values: Tensor) -> Tensor:
        """Return [R, B, ...] from values of `samples`, [N, ...], without the padding."""
        count = self.members * self.batch
        return values[:count].view(self.members, self.batch, *values.shape[1:])

    def output_geometry(self) -> Tensor:
        """Return `LogitPair.output_geometry` of every member: double [R, 3]."""
        return geometries(self._distill.flatten(1), self._task.flatten(1)) / self.batch**2

    def gradients(
        self, parameters: Sequence[Tensor], pair: Literal["same", "halves"], *, retain: bool = False
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return each member's (g_d, g_t, shared noise): [R, K], [R, K], double [R]; see `policies.update.meter.pair`.

        Args:
            parameters: the tensors to differentiate by: [R, ...] of the logits' graph, K numbers a member together.
            pair: the samples of the two gradients; the noise is None for `same`.
            retain: True if another backward pass follows.

        Raises:
            PolicyError: `pair` is `halves`, but the batches have one sample.
        """
        if pair == "same":
            task = self._pull_back(parameters, self._task / self.batch, retain=True)
            return self._pull_back(parameters, self._distill / self.batch, retain=retain), task, None
        middle = middle_of(self.batch)
        task_a, task_b = self._halves(parameters, self._task, middle, retain=True)
        distill_a, distill_b = self._halves(parameters, self._distill, middle, retain=retain)
        share = middle / self.batch
        task = share * task_a + (1.0 - share) * task_b
        distill = share * distill_a + (1.0 - share) * distill_b
        unbiased = 0.5 * (inner_products(distill_a, task_b) + inner_products(distill_b, task_a))
        return distill, task, inner_products(distill, task) - unbiased

    def gradient(self, parameters: Tensor, weights: Sequence[Weights]) -> Tensor:
        """Return the gradient of each member's weighted sum, [R, P]; a loss with weight 0 is left out."""
        return self._pull_back([parameters], mix(self._distill, self._task, weights) / self.batch, retain=False)

    def gradient_weighted(self, parameters: Tensor, weights: Tensor, instead: Mapping[int, Weights]) -> Tensor:
        """Return the gradient of each member's `mixed_losses`, [R, P].

        Args:
            parameters: [R, P].
            weights: λ of every sample, [R, B].
            instead: members with one weight for all samples, as for `gradient`.
        """
        mixed = torch.lerp(self._task, self._distill, weights[..., None].to(self._task.dtype))
        for member, pair in instead.items():
            mixed[member] = mix(self._distill[member, None], self._task[member, None], [pair])[0]
        return self._pull_back([parameters], mixed / self.batch, retain=False)

    @functools.cached_property
    def _task(self) -> Tensor:
        """The gradient of each sample's task loss in its logits: [R, B, C]."""
        return self.by_member(self._samples.task_gradients)

    @functools.cached_property
    def _distill(self) -> Tensor:
        return self.by_member(self._samples.distill_gradients)

    def _halves(
        self, parameters: Sequence[Tensor], values: Tensor, middle: int, *, retain: bool
    ) -> tuple[Tensor, Tensor]:
        first, second = torch.zeros_like(values), torch.zeros_like(values)
        first[:, :middle] = values[:, :middle] / middle
        second[:, middle:] = values[:, middle:] / (self.batch - middle)
        return (
            self._pull_back(parameters, first, retain=True),
            self._pull_back(parameters, second, retain=retain),
        )

    def _pull_back(self, parameters: Sequence[Tensor], logit_gradients: Tensor, *, retain: bool) -> Tensor:
        found = torch.autograd.grad(
            self._logits, parameters, logit_gradients.to(self._logits.dtype), retain_graph=retain
        )
        return found[0].flatten(1) if len(found) == 1 else torch.cat([part.flatten(1) for part in found], 1)


def _filled(values: Tensor, more: int) -> Tensor:
    return torch.cat([values, values.new_zeros(more, *values.shape[1:])]) if more else values


def mix(distill: Tensor, task: Tensor, weights: Sequence[Weights]) -> Tensor:
    """Return w_d·distill + w_t·task with each member's own weights.

    A side whose weight is 0 is left out, so that a broken loss without weight cannot spoil the sum (0·∞).

    Args:
        distill: [R, ...].
        task: likewise.
        weights: R pairs.
    """
    first = weights[0]
    if all(pair == first for pair in weights):
        distill_weight, task_weight = first
        if distill_weight == 0.0:
            return task * task_weight
        if task_weight == 0.0:
            return distill * distill_weight
        return torch.add(distill * distill_weight, task, alpha=task_weight)
    columns = distill.new_tensor(weights).view(-1, 2, *[1] * (distill.ndim - 1))
    mixed = (distill * columns[:, 0]).addcmul_(task, columns[:, 1])
    for member, (distill_weight, task_weight) in enumerate(weights):
        if distill_weight == 0.0:
            mixed[member] = task[member] * task_weight
        elif task_weight == 0.0:
            mixed[member] = distill[member] * distill_weight
    return mixed


def geometries(distill: Tensor, task: Tensor, shared_noise: Tensor | None = None) -> Tensor:
    """Return (‖g_d‖², ‖g_t‖², ⟨g_d, g_t⟩) of every member: double [R, 3].

    Args:
        distill: g_d, [R, K].
        task: g_t, [R, K].
        shared_noise: the noise that is subtracted from the inner product, double [R].
    """
    inner = inner_products(distill, task)
    squares = [torch.linalg.vector_norm(side, dim=1, dtype=torch.float64).square_() for side in (distill, task)]
    return torch.stack([*squares, inner if shared_noise is None else inner - shared_noise], 1)


def inner_products(distill: Tensor, task: Tensor) -> Tensor:
    """Return ⟨g_d, g_t⟩ of every member, double [R], for g_d and g_t [R, K]."""
    return (distill * task).sum(1, dtype=torch.float64)
