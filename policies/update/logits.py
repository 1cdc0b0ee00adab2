"""Holds cross entropy and distillation on the logits of a batch, whose gradients in the logits have a closed form.

N: samples; C: classes. No graph of the losses is recorded. Samples can be weighed or halved at no cost.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.losses import log_softmax, softened
from policies.policy import MEASURED, Need
from policies.update.objective import Factor, Gradients, on_host, times
from policies.update.reliability import Answers, ReliabilityTable, StackedTables
from policies.update.sampled import SampledPair, middle_of, wide
from policies.update.shapes import check_shapes


class LogitPair(SampledPair):
    """Cross entropy on labels and T²·KL(teacher ‖ student), both averaged over the batch.

    Args:
        student_logits: [N, C], with a graph.
        teacher_logits: [N, C].
        labels: [N] whole numbers, or [N, C] probabilities.
        temperature: T.
        label_smoothing: share of the label's mass that is spread over all classes.
        table: the counts of how reliable the teacher has been so far, if a rule looks at them.

    Raises:
        PolicyError: the shapes do not fit, or the smoothing is not in [0, 1].
    """

    shows = "logits"

    def __init__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        temperature: float,
        label_smoothing: float = 0.0,
        table: ReliabilityTable | StackedTables | None = None,
    ) -> None:
        check_shapes(student_logits, teacher_logits, labels)
        if not 0.0 <= label_smoothing <= 1.0:
            raise PolicyError(f"`label_smoothing` must be a share in [0, 1], but got {label_smoothing!r}.")
        self._logits = student_logits
        self._student = wide(student_logits.detach())
        self._teacher = wide(teacher_logits.detach()).to(self._student.dtype)
        self._labels = labels.to(self._student.dtype) if labels.ndim == 2 else labels.long()
        self._temperature = temperature
        self._smoothing = label_smoothing
        self._table = table
        self._log_student = log_softmax(self._student)
        self._log_student_soft = softened(self._student, temperature)
        self._log_teacher_soft = softened(self._teacher, temperature)
        self._teacher_soft = self._log_teacher_soft.exp()
        count = student_logits.shape[0]
        self.empty = count == 0
        self._count = max(1, count)
        self.task_loss = self.task_losses.mean() if count else self.task_losses.sum()
        self.distill_loss = self.distill_losses.mean() if count else self.distill_losses.sum()

    @functools.cached_property
    def task_losses(self) -> Tensor:
        """Each sample's task loss in nats: [N]."""
        losses = self._at_labels(self._log_student).neg_()
        if self._smoothing == 0.0:
            return losses
        return torch.lerp(losses, self._log_student.mean(1).neg(), self._smoothing)

    @functools.cached_property
    def distill_losses(self) -> Tensor:
        """Each sample's distillation loss in nats: [N]."""
        surprise = self._teacher_soft * (self._log_teacher_soft - self._log_student_soft)
        return surprise.sum(1).mul_(self._temperature**2).to(self._student.dtype)

    @functools.cached_property
    def task_gradients(self) -> Tensor:
        """The gradient of each sample's task loss in its logits: [N, C]."""
        gradients = self._log_student.exp()
        if self._labels.ndim == 2:
            # Rows need not add up to 1: a sample may have a weight, or no label at all.
            gradients.mul_(torch.lerp(self._labels.sum(1, keepdim=True), gradients.new_ones(()), self._smoothing))
            gradients.sub_(self._labels, alpha=1.0 - self._smoothing)
        else:
            gradients.scatter_(1, self._labels[:, None], self._smoothing - 1.0, reduce="add")
        return gradients if self._smoothing == 0.0 else gradients.sub_(self._smoothing / gradients.shape[1])

    @functools.cached_property
    def distill_gradients(self) -> Tensor:
        """The gradient of each sample's distillation loss in its logits: [N, C]."""
        difference = self._log_student_soft.exp().sub_(self._teacher_soft)
        return difference.mul_(self._temperature).to(self._student.dtype)

    def gradients(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[Gradients, Gradients]:
        task = self._pull_back(parameters, self.task_gradients, factor / self._count, retain=True)
        distill = self._pull_back(parameters, self.distill_gradients, factor / self._count, retain=retain)
        return distill, task

    def gradients_of_halves(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[tuple[Gradients, Gradients], tuple[Gradients, Gradients]]:
        count = len(self._logits)
        middle = middle_of(count)
        first: list[Gradients] = []
        second: list[Gradients] = []
        for values, into_last in ((self.task_gradients, True), (self.distill_gradients, retain)):
            for half, rows in ((first, slice(0, middle)), (second, slice(middle, count))):
                part = torch.zeros_like(values)
                part[rows] = values[rows]
                size = max(1, rows.stop - rows.start)
                keep = into_last or half is first
                half.append(self._pull_back(parameters, part, factor / size, retain=keep))
        return (first[1], first[0]), (second[1], second[0])

    def backward(self, distill_weight: float, task_weight: float, *, factor: Factor = 1.0) -> None:
        # The weights include the mean's 1/N, and the factor if it is on the host: beside a small student's step each
        # operation counts.
        share, rest = on_host(factor, 1.0 / self._count)
        distill_weight, task_weight = distill_weight * share, task_weight * share
        if distill_weight == 0.0:
            mixed = self.task_gradients * task_weight
        elif task_weight == 0.0:
            mixed = self.distill_gradients * distill_weight
        else:
            mixed = torch.add(distill_weight * self.distill_gradients, self.task_gradients, alpha=task_weight)
        self._push_back(mixed, rest)

    def backward_weighted(self, weights: Tensor, *, factor: Factor = 1.0) -> None:
        weights = weights.detach()[:, None].to(self.task_gradients.dtype)
        share, rest = on_host(factor, 1.0 / self._count)
        self._push_back(torch.lerp(self.task_gradients, self.distill_gradients, weights).mul_(share), rest)

    def teacher_signals(self) -> tuple[Tensor, Tensor]:
        """Return (confidence, agreement), each [N]: the teacher's highest probability, and the label's."""
        return self.answers.confidence, self._at_labels(self._teacher_probabilities)

    @functools.cached_property
    def answers(self) -> Answers:
        """The answers of teacher and label on each sample."""
        confidence, teacher_class = self._teacher_probabilities.max(1)
        return Answers(self._labels, teacher_class, confidence, self._student.shape[1])

    def signals(self, need: Need) -> dict[str, Tensor]:
        if need == "teacher":
            return dict(zip(MEASURED[need], self.teacher_signals(), strict=True))
        assert self._table is not None  # the balancer gives one to rules that look at it
        return dict(zip(MEASURED[need], self._table.look_up(self.answers), strict=True))

    @functools.cached_property
    def _teacher_probabilities(self) -> Tensor:
        """The teacher's probabilities at temperature 1: [N, C]."""
        return torch.softmax(self._teacher, dim=1)

    def known_signals(self) -> dict[str, Tensor]:
        confidence, agreement = self.teacher_signals()
        return {
            "confidence": confidence.nan_to_num(0.0),
            "agreement": agreement.nan_to_num_(0.0),
            "label": self.answers.label,
            "teacher_class": self.answers.teacher_class,
            **({} if self._table is None else self.signals("reliability")),
        }

    def _at_labels(self, values: Tensor) -> Tensor:
        """Return the mean of values [N, C] under the labels' distribution, without smoothing: [N]."""
        if self._labels.ndim == 2:
            return (values * self._labels).sum(1)
        return values.gather(1, self._labels[:, None]).squeeze(1)

    def _push_back(self, logit_gradients: Tensor, factor: Factor) -> None:
        torch.autograd.backward(self._logits, times(logit_gradients, factor).to(self._logits.dtype))

    def _pull_back(
        self, parameters: Sequence[Tensor], logit_gradients: Tensor, factor: Factor, *, retain: bool
    ) -> Gradients:
        return torch.autograd.grad(
            self._logits,
            parameters,
            grad_outputs=(logit_gradients * factor).to(self._logits.dtype),
            retain_graph=retain,
            allow_unused=True,
        )
