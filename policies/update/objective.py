"""Holds the two losses of one batch, in either form, and takes their gradients.

N: samples; C: classes. `LossPair` holds any two scalars over one graph. `LogitPair` knows that the losses are cross
entropy and distillation on logits. Their gradients in the logits are then known in closed form, so no graph of the
losses is recorded. Samples can be weighed or halved at no cost.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.losses import log_softmax, softened
from policies.policy import MEASURED, Need
from policies.sample import SampleObservation
from policies.update.reliability import Answers, ReliabilityTable, StackedTables
from policies.update.shapes import check_shapes

Gradients: TypeAlias = tuple[Tensor | None, ...]
Factor: TypeAlias = float | Tensor
"""A number, on the host or as a scalar on the device."""

_LARGEST_RATIO = 1e12


class Objective(abc.ABC):
    """Two losses of one batch; `task_loss` and `distill_loss` are detached scalars."""

    task_loss: Tensor
    distill_loss: Tensor
    empty = False
    """True if it is known to have no sample: its losses and gradients are 0 then."""

    @abc.abstractmethod
    def gradients(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[Gradients, Gradients]:
        """Return (g_d, g_t), each as long as `parameters`; None where a loss does not depend on a parameter.

        Args:
            parameters: the tensors to differentiate by.
            factor: multiplies both losses first, as loss scaling does.
            retain: True if another backward pass follows.
        """

    @abc.abstractmethod
    def backward(self, distill_weight: float, task_weight: float, *, factor: Factor = 1.0) -> None:
        """Run one backward pass of the weighted sum into every parameter's `.grad`.

        A loss with weight 0 is left out, so that a broken one cannot spoil the sum (0·∞).
        """


class LossPair(Objective):
    """Two scalar losses over one graph.

    Raises:
        PolicyError: a loss is not one number, or has no graph.
    """

    def __init__(self, task_loss: Tensor, distill_loss: Tensor) -> None:
        self._task, self._distill = _scalar(task_loss, "task_loss"), _scalar(distill_loss, "distill_loss")
        self.task_loss, self.distill_loss = self._task.detach(), self._distill.detach()

    def gradients(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[Gradients, Gradients]:
        task = torch.autograd.grad(_times(self._task, factor), parameters, retain_graph=True, allow_unused=True)
        distill = torch.autograd.grad(_times(self._distill, factor), parameters, retain_graph=retain, allow_unused=True)
        return distill, task

    def backward(self, distill_weight: float, task_weight: float, *, factor: Factor = 1.0) -> None:
        if distill_weight == 0.0:
            mixed = _times(self._task, task_weight)
        elif task_weight == 0.0:
            mixed = _times(self._distill, distill_weight)
        else:
            mixed = torch.add(distill_weight * self._distill, self._task, alpha=task_weight)
        torch.autograd.backward(_times(mixed, factor))


class LogitPair(Objective):
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
        self._student = _wide(student_logits.detach())
        self._teacher = _wide(teacher_logits.detach()).to(self._student.dtype)
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
        """Return (g_d, g_t) of the first and of the second half of the batch, each averaged over its own half.

        Raises:
            PolicyError: the batch has a single sample.
        """
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
        share, rest = _on_host(factor, 1.0 / self._count)
        distill_weight, task_weight = distill_weight * share, task_weight * share
        if distill_weight == 0.0:
            mixed = self.task_gradients * task_weight
        elif task_weight == 0.0:
            mixed = self.distill_gradients * distill_weight
        else:
            mixed = torch.add(distill_weight * self.distill_gradients, self.task_gradients, alpha=task_weight)
        self._push_back(mixed, rest)

    def backward_weighted(self, weights: Tensor, *, factor: Factor = 1.0) -> None:
        """Run one backward pass of the mean over the samples of λ_n·L_distill,n + (1 - λ_n)·L_task,n.

        Args:
            weights: λ_n, [N].
            factor: multiplies the loss first, as loss scaling does.
        """
        weights = weights.detach()[:, None].to(self.task_gradients.dtype)
        share, rest = _on_host(factor, 1.0 / self._count)
        self._push_back(torch.lerp(self.task_gradients, self.distill_gradients, weights).mul_(share), rest)

    def logit_geometry(self) -> Tensor:
        """Return the geometry of both gradients in the batch's logits: a double tensor [3], ordered as `Geometry`.

        It is a sum over samples, so it depends on which sample got which label; the mean gradient over the batch would
        not.
        """
        distill, task = self.distill_gradients.flatten(), self.task_gradients.flatten()
        products = torch.stack([torch.dot(distill, distill), torch.dot(task, task), torch.dot(distill, task)])
        return products.double() / self._count**2

    def teacher_signals(self) -> tuple[Tensor, Tensor]:
        """Return (confidence, agreement), each [N]: the teacher's highest probability, and the label's."""
        return self.answers.confidence, self._at_labels(self._teacher_probabilities)

    @functools.cached_property
    def answers(self) -> Answers:
        """The answers of teacher and label on each sample."""
        confidence, teacher_class = self._teacher_probabilities.max(1)
        return Answers(self._labels, teacher_class, confidence, self._student.shape[1])

    def signals(self, need: Need) -> dict[str, Tensor]:
        """Return the readings that the need `teacher` or `reliability` stands for, [N] by name, without this batch."""
        if need == "teacher":
            return dict(zip(MEASURED[need], self.teacher_signals(), strict=True))
        assert self._table is not None  # the balancer gives one to rules that look at it
        return dict(zip(MEASURED[need], self._table.look_up(self.answers), strict=True))

    @functools.cached_property
    def _teacher_probabilities(self) -> Tensor:
        """The teacher's probabilities at temperature 1: [N, C]."""
        return torch.softmax(self._teacher, dim=1)

    def samples(self, step: int, progress: float) -> SampleObservation:
        """Return the readings that a rule of sample scope may look at."""
        distill, task = self.distill_gradients, self.task_gradients
        distill_norm, task_norm = torch.linalg.vector_norm(distill, dim=1), torch.linalg.vector_norm(task, dim=1)
        norms = (distill_norm * task_norm).clamp_min_(torch.finfo(distill.dtype).tiny)
        losses = self.task_losses.clamp_min(0.0).div_(self.distill_losses.clamp_min(1.0 / _LARGEST_RATIO))
        confidence, agreement = self.teacher_signals()
        return SampleObservation(
            step=step,
            progress=progress,
            cosine=(distill * task).sum(1).div_(norms).nan_to_num_(0.0).clamp_(-1.0, 1.0),
            norm_ratio=_bounded(distill_norm.div_(task_norm)),
            loss_ratio=_bounded(losses),
            confidence=confidence.nan_to_num(0.0),
            agreement=agreement.nan_to_num_(0.0),
            label=self.answers.label,
            teacher_class=self.answers.teacher_class,
            **({} if self._table is None else self.signals("reliability")),
        )

    def _at_labels(self, values: Tensor) -> Tensor:
        """Return the mean of values [N, C] under the labels' distribution, without smoothing: [N]."""
        if self._labels.ndim == 2:
            return (values * self._labels).sum(1)
        return values.gather(1, self._labels[:, None]).squeeze(1)

    def _push_back(self, logit_gradients: Tensor, factor: Factor) -> None:
        torch.autograd.backward(self._logits, _times(logit_gradients, factor).to(self._logits.dtype))

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


def middle_of(count: int) -> int:
    """Return the index at which the second half of a batch begins.

    Raises:
        PolicyError: the batch has a single sample.
    """
    if count == 1:
        raise PolicyError(
            "`pair` = 'halves' needs batches of at least 2 samples, but got one with 1; leave a last, short batch out"
            " (`drop_last=True` of a DataLoader)."
        )
    return count // 2


def mean_of(values: Tensor) -> Tensor:
    """Return the mean of values [N]; 0 if there is no sample."""
    return values.mean() if len(values) else values.sum()


def _scalar(loss: Tensor, name: str) -> Tensor:
    if not isinstance(loss, Tensor):
        raise PolicyError(f"`{name}` must be a tensor with its graph, but got {type(loss).__name__}.")
    if not loss.requires_grad:
        raise PolicyError(
            f"`{name}` has no graph, so it cannot be trained on; compute it from the student's outputs outside of"
            " `torch.no_grad()`, and do not detach it. Where there is only one loss, call its own `backward()`."
        )
    if loss.numel() != 1:
        raise PolicyError(
            f"`{name}` must be one number, but has shape {list(loss.shape)}; take the mean over its samples."
        )
    return loss.reshape(()) if loss.ndim else loss


def _times(loss: Tensor, factor: Factor) -> Tensor:
    return loss if isinstance(factor, float) and factor == 1.0 else loss * factor


def _on_host(factor: Factor, share: float) -> tuple[float, Factor]:
    """Return the part of the product that is a number on the host, and the factor left on the device."""
    return (share * factor, 1.0) if isinstance(factor, float) else (share, factor)


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _bounded(ratio: Tensor) -> Tensor:
    """Bound ratios in place; a ratio is 1 where both sides vanish."""
    return ratio.nan_to_num_(1.0, posinf=_LARGEST_RATIO).clamp_(1.0 / _LARGEST_RATIO, _LARGEST_RATIO)
