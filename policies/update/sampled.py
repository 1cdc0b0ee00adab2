"""Holds what two losses show if each sample's share of them is known: readings for each sample, halves, weights.

N: samples; D: outputs of a sample. v_d and v_t are the gradients of a sample's two losses in the student's outputs.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.sample import SampleObservation
from policies.update.objective import Factor, Gradients, Objective

if TYPE_CHECKING:
    from policies.policy import Need

_LARGEST_RATIO = 1e12


class SampledPair(Objective):
    """Two losses that are means over the samples of a batch."""

    @property
    @abc.abstractmethod
    def task_losses(self) -> Tensor:
        """Each sample's task loss: [N], detached."""

    @property
    @abc.abstractmethod
    def distill_losses(self) -> Tensor:
        """Each sample's distillation loss: [N], detached."""

    @property
    @abc.abstractmethod
    def task_gradients(self) -> Tensor:
        """v_t of each sample: [N, D]."""

    @property
    @abc.abstractmethod
    def distill_gradients(self) -> Tensor:
        """v_d of each sample: [N, D]."""

    @abc.abstractmethod
    def gradients_of_halves(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[tuple[Gradients, Gradients], tuple[Gradients, Gradients]]:
        """Return (g_d, g_t) of the first and of the second half of the batch, each averaged over its own half.

        Raises:
            PolicyError: the batch has a single sample.
        """

    @abc.abstractmethod
    def backward_weighted(self, weights: Tensor, *, factor: Factor = 1.0) -> None:
        """Run one backward pass of the mean over the samples of λ_n·L_distill,n + (1 - λ_n)·L_task,n.

        Args:
            weights: λ_n, [N].
            factor: multiplies the loss first, as loss scaling does.
        """

    @abc.abstractmethod
    def signals(self, need: Need) -> dict[str, Tensor]:
        """Return the readings that the need `teacher` or `reliability` stands for, [N] by name, without this batch."""

    def known_signals(self) -> dict[str, Tensor]:
        """Return the fields of a `SampleObservation` beyond losses and gradients, by name."""
        return {}

    def output_geometry(self) -> Tensor:
        """Return the geometry of both gradients in the batch's outputs: a double tensor [3], ordered as `Geometry`.

        It is a sum over samples, so it depends on which sample got which label; the mean gradient over the batch would
        not.
        """
        distill, task = self.distill_gradients.flatten(), self.task_gradients.flatten()
        products = torch.stack([torch.dot(distill, distill), torch.dot(task, task), torch.dot(distill, task)])
        return products.double() / max(1, len(self.task_losses)) ** 2

    def samples(self, step: int, progress: float) -> SampleObservation:
        """Return the readings that a rule of sample scope may look at."""
        distill, task = self.distill_gradients, self.task_gradients
        distill_norm, task_norm = torch.linalg.vector_norm(distill, dim=1), torch.linalg.vector_norm(task, dim=1)
        norms = (distill_norm * task_norm).clamp_min_(torch.finfo(distill.dtype).tiny)
        losses = self.task_losses.clamp_min(0.0).div_(self.distill_losses.clamp_min(1.0 / _LARGEST_RATIO))
        return SampleObservation(
            step=step,
            progress=progress,
            cosine=(distill * task).sum(1).div_(norms).nan_to_num_(0.0).clamp_(-1.0, 1.0),
            norm_ratio=_bounded(distill_norm.div_(task_norm)),
            loss_ratio=_bounded(losses),
            **self.known_signals(),
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


def wide(values: Tensor) -> Tensor:
    """Return values in half precision as float32, and others as they are."""
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _bounded(ratio: Tensor) -> Tensor:
    """Bound ratios in place; a ratio is 1 where both sides vanish."""
    return ratio.nan_to_num_(1.0, posinf=_LARGEST_RATIO).clamp_(1.0 / _LARGEST_RATIO, _LARGEST_RATIO)
