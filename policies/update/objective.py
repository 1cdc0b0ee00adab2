"""Holds the two losses of one batch and takes their gradients; here as two numbers over one graph.

Two other forms know their samples: `policies.update.logits` and `policies.update.outputs`.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import torch
from torch import Tensor

from policies.errors import PolicyError
from policies.policy import Given

Gradients: TypeAlias = tuple[Tensor | None, ...]
Factor: TypeAlias = float | Tensor
"""A number, on the host or as a scalar on the device."""


class Objective(abc.ABC):
    """Two losses of one batch; `task_loss` and `distill_loss` are detached scalars."""

    shows: ClassVar[Given]
    """The most that it can give a rule."""
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

    shows = "losses"

    def __init__(self, task_loss: Tensor, distill_loss: Tensor) -> None:
        self._task, self._distill = _scalar(task_loss, "task_loss"), _scalar(distill_loss, "distill_loss")
        self.task_loss, self.distill_loss = self._task.detach(), self._distill.detach()

    def gradients(
        self, parameters: Sequence[Tensor], *, factor: Factor = 1.0, retain: bool = False
    ) -> tuple[Gradients, Gradients]:
        task = torch.autograd.grad(times(self._task, factor), parameters, retain_graph=True, allow_unused=True)
        distill = torch.autograd.grad(times(self._distill, factor), parameters, retain_graph=retain, allow_unused=True)
        return distill, task

    def backward(self, distill_weight: float, task_weight: float, *, factor: Factor = 1.0) -> None:
        if distill_weight == 0.0:
            mixed = times(self._task, task_weight)
        elif task_weight == 0.0:
            mixed = times(self._distill, distill_weight)
        else:
            mixed = torch.add(distill_weight * self._distill, self._task, alpha=task_weight)
        torch.autograd.backward(times(mixed, factor))


def mean_of(values: Tensor) -> Tensor:
    """Return the mean of values [N]; 0 if there is no sample."""
    return values.mean() if len(values) else values.sum()


def times(loss: Tensor, factor: Factor) -> Tensor:
    """Return a loss times a factor; no product is taken with 1."""
    return loss if isinstance(factor, float) and factor == 1.0 else loss * factor


def on_host(factor: Factor, share: float) -> tuple[float, Factor]:
    """Return the part of the product that is a number on the host, and the factor left on the device."""
    return (share * factor, 1.0) if isinstance(factor, float) else (share, factor)


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
