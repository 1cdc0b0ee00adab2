"""The two losses of one batch, however they are given, and how their gradients are taken.

N: samples; C: classes. `LossPair` holds two scalars over one graph, whatever they are. `LogitPair` knows that the
losses are cross entropy and distillation on logits: their gradients in the logits are then known in closed form, so
nothing of the losses is recorded, and samples can be weighed or halved at no cost.
"""

from __future__ import annotations

import abc
import functools
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.sample import SampleObservation

Gradients: TypeAlias = tuple[Tensor | None, ...]
Factor: TypeAlias = float | Tensor
"""A number, on the host or as a scalar on the device."""

_LARGEST_RATIO = 1e12


class Objective(abc.ABC):
    """Two losses of one batch; `task_loss` and `distill_loss` are detached scalars."""

    task_loss: Tensor
    distill_loss: Tensor

    @abc.abstractmethod
    def gradients(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[Gradients, Gradients]:
        """(g_d, g_t), each as long as `parameters`; None where a loss does not depend on a parameter.

        Args:
            parameters: what to differentiate by.
            factor: multiplies both losses first, as loss scaling does.
            retain: whether another backward pass follows.
        """

    @abc.abstractmethod
    def backward(self, distill_weight: float, task_weight: float, *, factor: Factor = 1.0) -> None:
        """One backward pass of the weighted sum into every parameter's `.grad`.

        A loss with weight 0 takes no part, so that a broken one cannot spoil the sum (0·∞).
        """


class LossPair(Objective):
    """Two scalar losses over one graph."""

    def __init__(self, task_loss: Tensor, distill_loss: Tensor) -> None:
        self._task, self._distill = task_loss, distill_loss
        self.task_loss, self.distill_loss = task_loss.detach(), distill_loss.detach()

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

    Raises:
        PolicyError: shapes that do not fit.
    """

    def __init__(
        self,
        student_logits: Tensor,
        teacher_logits: Tensor,
        labels: Tensor,
        *,
        temperature: float,
        label_smoothing: float = 0.0,
    ) -> None:
        if student_logits.ndim != 2 or student_logits.shape != teacher_logits.shape or len(student_logits) == 0:
            raise PolicyError(
                "student's and teacher's logits must both be [samples, classes], but got"
                f" {list(student_logits.shape)} and {list(teacher_logits.shape)}; flatten further dimensions into"
                " samples and leave out positions without a label."
            )
        if labels.shape not in (student_logits.shape, student_logits.shape[:1]):
            raise PolicyError(
                f"`labels` must be [samples] or [samples, classes] for logits {list(student_logits.shape)}, but got"
                f" {list(labels.shape)}."
            )
        self._logits = student_logits
        self._teacher = teacher_logits.detach()
        with torch.no_grad():
            student = _wide(student_logits)
            log_student = torch.log_softmax(student, dim=1)
            log_student_soft = torch.log_softmax(student / temperature, dim=1)
            log_teacher_soft = torch.log_softmax(_wide(self._teacher) / temperature, dim=1)
            self._target = _target(labels, student, label_smoothing)
            teacher_soft = log_teacher_soft.exp()
            self.task_losses = -(self._target * log_student).sum(dim=1)
            """[N], in nats."""
            self.distill_losses = temperature**2 * (teacher_soft * (log_teacher_soft - log_student_soft)).sum(dim=1)
            """[N], in nats."""
            self.task_gradients = log_student.exp() - self._target
            """[N, C]: of each sample's task loss in its logits."""
            self.distill_gradients = temperature * (log_student_soft.exp() - teacher_soft)
            """[N, C]: of each sample's distillation loss in its logits."""
        self.task_loss = self.task_losses.mean()
        self.distill_loss = self.distill_losses.mean()

    def gradients(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[Gradients, Gradients]:
        task = self._pull_back(parameters, self.task_gradients, factor / len(self._logits), retain=True)
        distill = self._pull_back(parameters, self.distill_gradients, factor / len(self._logits), retain=retain)
        return distill, task

    def gradients_of_halves(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[tuple[Gradients, Gradients], tuple[Gradients, Gradients]]:
        """(g_d, g_t) of the first and of the second half of the batch, each averaged over its own half.

        Raises:
            PolicyError: the batch has a single sample.
        """
        count = len(self._logits)
        if count < 2:
            raise PolicyError("`pair` = 'halves' needs batches of at least 2 samples, but got one with 1.")
        middle = count // 2
        first: list[Gradients] = []
        second: list[Gradients] = []
        for values, into_last in ((self.task_gradients, True), (self.distill_gradients, retain)):
            for half, rows in ((first, slice(0, middle)), (second, slice(middle, count))):
                part = torch.zeros_like(values)
                part[rows] = values[rows]
                size = rows.stop - rows.start
                keep = into_last or half is first
                half.append(self._pull_back(parameters, part, factor / size, retain=keep))
        return (first[1], first[0]), (second[1], second[0])

    def backward(self, distill_weight: float, task_weight: float, *, factor: Factor = 1.0) -> None:
        if distill_weight == 0.0:
            mixed = self.task_gradients * task_weight
        elif task_weight == 0.0:
            mixed = self.distill_gradients * distill_weight
        else:
            mixed = torch.add(distill_weight * self.distill_gradients, self.task_gradients, alpha=task_weight)
        torch.autograd.backward(self._logits, (mixed * (factor / len(mixed))).to(self._logits.dtype))

    def backward_weighted(self, weights: Tensor, *, factor: Factor = 1.0) -> None:
        """One backward pass of the mean over the samples of λ_n·L_distill,n + (1 - λ_n)·L_task,n.

        Args:
            weights: λ_n, [N].
            factor: multiplies the loss first, as loss scaling does.
        """
        mixed = torch.lerp(self.task_gradients, self.distill_gradients, weights[:, None].to(self.task_gradients.dtype))
        torch.autograd.backward(self._logits, (mixed * (factor / len(mixed))).to(self._logits.dtype))

    @functools.cached_property
    def squares(self) -> tuple[Tensor, Tensor, Tensor]:
        """(‖v_d‖², ‖v_t‖², ⟨v_d, v_t⟩) of each sample, each [N]."""
        distill, task = self.distill_gradients, self.task_gradients
        return distill.square().sum(1), task.square().sum(1), (distill * task).sum(1)

    def logit_geometry(self) -> Tensor:
        """The geometry of both losses' gradients in the batch's logits: a double tensor [3], ordered as `Geometry`."""
        return torch.stack(self.squares).double().sum(1) / len(self._logits) ** 2

    def teacher_signals(self) -> tuple[Tensor, Tensor]:
        """(confidence, agreement), each [N]: the teacher's highest probability, and the label's."""
        with torch.no_grad():
            probabilities = torch.softmax(_wide(self._teacher), dim=1)
            return probabilities.amax(1), (probabilities * self._target).sum(1)

    def samples(self, step: int, progress: float) -> SampleObservation:
        """What a rule of sample scope may look at."""
        distill_sq, task_sq, inner = self.squares
        tiny = torch.finfo(distill_sq.dtype).tiny
        ratio = (distill_sq.clamp_min(tiny) / task_sq.clamp_min(tiny)).sqrt()
        cosine = inner / (distill_sq.clamp_min(tiny).sqrt() * task_sq.clamp_min(tiny).sqrt())
        losses = self.task_losses.clamp_min(0.0) / self.distill_losses.clamp_min(1.0 / _LARGEST_RATIO)
        confidence, agreement = self.teacher_signals()
        return SampleObservation(
            step=step,
            progress=progress,
            cosine=cosine.clamp(-1.0, 1.0).nan_to_num(0.0),
            norm_ratio=_bounded(ratio),
            loss_ratio=_bounded(losses),
            confidence=confidence.nan_to_num(0.0),
            agreement=agreement.nan_to_num(0.0),
        )

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


def _times(loss: Tensor, factor: Factor) -> Tensor:
    return loss if isinstance(factor, float) and factor == 1.0 else loss * factor


def _wide(logits: Tensor) -> Tensor:
    return logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits


def _bounded(ratio: Tensor) -> Tensor:
    return ratio.nan_to_num(1.0, posinf=_LARGEST_RATIO).clamp(1.0 / _LARGEST_RATIO, _LARGEST_RATIO)


def _target(labels: Tensor, like: Tensor, smoothing: float) -> Tensor:
    """The distribution [N, C] that the task loss compares with."""
    target = labels.to(like.dtype) if labels.ndim == 2 else torch.zeros_like(like).scatter_(1, labels[:, None], 1.0)
    return target if smoothing == 0.0 else target * (1.0 - smoothing) + smoothing / like.shape[1]
