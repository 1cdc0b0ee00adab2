"""Gradients of two losses over one graph, and the three numbers between them.

P: the student's trainable parameters. Two backward passes, never a third: the update is a sum of what they return.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from policies.geometry import Geometry

Gradients = tuple[Tensor | None, ...]


def gradient_pair(distill_loss: Tensor, task_loss: Tensor, parameters: Sequence[Tensor]) -> tuple[Gradients, Gradients]:
    """(g_d, g_t), each a tuple as long as `parameters`; None where a loss does not depend on a parameter."""
    task = torch.autograd.grad(task_loss, parameters, retain_graph=True, allow_unused=True)
    distill = torch.autograd.grad(distill_loss, parameters, allow_unused=True)
    return distill, task


def measure(distill: Gradients, task: Gradients, *losses: Tensor) -> tuple[Geometry, list[float]]:
    """The geometry of two gradients, and the losses' values, in one transfer from the device.

    Norms come from one fused kernel; squares are summed in double precision. Gradients in half precision are widened
    first, since their products overflow.

    Raises:
        RuntimeError: the parameters lie on several devices.
    """
    distill, task = _widened(distill), _widened(task)
    both = [(d, t) for d, t in zip(distill, task, strict=True) if d is not None and t is not None]
    reduced = [
        _square_sum([g for g in distill if g is not None]),
        _square_sum([g for g in task if g is not None]),
        torch.stack([torch.dot(d.flatten(), t.flatten()) for d, t in both]).double().sum()
        if both
        else torch.zeros((), dtype=torch.float64),
    ]
    device = losses[0].device if losses else reduced[0].device
    values = torch.stack(
        [r.to(device) for r in reduced] + [loss.detach().to(device=device, dtype=torch.float64) for loss in losses]
    ).tolist()
    return Geometry(*values[:3]), values[3:]


def accumulate(
    parameters: Sequence[Tensor], distill: Gradients, task: Gradients, distill_weight: float, task_weight: float
) -> None:
    """Add `distill_weight`·g_d + `task_weight`·g_t to every parameter's `.grad`, as `backward` would.

    A gradient whose weight is 0 is left out, so that a broken loss with no say cannot spoil the sum (0·∞).
    """
    for parameter, gradient in zip(parameters, _mix(distill, task, distill_weight, task_weight), strict=True):
        if gradient is None:
            continue
        if parameter.grad is None:
            parameter.grad = gradient
        else:
            parameter.grad.add_(gradient)


def _mix(distill: Gradients, task: Gradients, distill_weight: float, task_weight: float) -> list[Tensor | None]:
    if distill_weight == 0.0:
        return _scaled(task, task_weight)
    mixed = _scaled(distill, distill_weight)
    if task_weight == 0.0:
        return mixed
    into, add = [], []
    for index, (d, t) in enumerate(zip(mixed, task, strict=True)):
        if t is None:
            continue
        if d is None:
            mixed[index] = t * task_weight
        else:
            into.append(d)
            add.append(t)
    if into:
        torch._foreach_add_(into, add, alpha=task_weight)
    return mixed


def _scaled(gradients: Gradients, weight: float) -> list[Tensor | None]:
    """New tensors: autograd may return one tensor for two parameters, or one whose elements share memory."""
    present = [g for g in gradients if g is not None]
    scaled = iter(torch._foreach_mul(present, weight) if present else ())
    return [None if g is None else next(scaled) for g in gradients]


def _widened(gradients: Gradients) -> Gradients:
    return tuple(g.float() if g is not None and g.dtype in (torch.float16, torch.bfloat16) else g for g in gradients)


def _square_sum(gradients: list[Tensor]) -> Tensor:
    if not gradients:
        return torch.zeros((), dtype=torch.float64)
    return torch.stack(torch._foreach_norm(gradients)).double().square().sum()
