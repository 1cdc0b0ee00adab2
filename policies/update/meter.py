"""Computes the three numbers between two gradients, and adds their weighted sum to `.grad`.

P: the student's trainable parameters. There are two backward passes, never a third: the update is a sum of their
results.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from policies.policy import Measurement
from policies.update.objective import Factor, Gradients, Objective
from policies.update.sampled import SampledPair

_HALF = (torch.float16, torch.bfloat16)


def last_block(student: nn.Module, *, layers: int = 1) -> list[Tensor]:
    """Return the trainable parameters of a student's last layers with trainable weights, and of what follows them.

    Layers count in the order of registration, which is the order of computation in all usual models.

    Args:
        student: the module.
        layers: the number of such layers.
    """
    found: list[Tensor] = []
    for module in reversed(list(student.modules())):
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        found = own + found
        layers -= any(p.ndim > 1 for p in own)
        if layers == 0:
            break
    return found


def pair(
    objective: Objective,
    parameters: Sequence[Tensor],
    how: Measurement,
    *,
    factor: Factor = 1.0,
    retain: bool = False,
) -> tuple[Gradients, Gradients, Tensor | None]:
    """Return (g_d, g_t, shared noise) of a batch.

    The shared noise, a double scalar, is how much larger ⟨g_d, g_t⟩ is than its unbiased estimate
    ½(⟨g_d(A), g_t(B)⟩ + ⟨g_d(B), g_t(A)⟩) over two halves A and B of the batch. The estimate is a U-statistic. The
    noise is None unless `how` asks for halves.
    """
    if how.pair == "same":
        return *objective.gradients(parameters, factor=factor, retain=retain), None
    assert isinstance(objective, SampledPair)  # the balancer has made sure of it
    (distill_a, task_a), (distill_b, task_b) = objective.gradients_of_halves(parameters, factor=factor, retain=retain)
    count = len(objective.task_losses)
    share = (count // 2) / max(1, count)
    distill = _blend(distill_a, distill_b, share)
    task = _blend(task_a, task_b, share)
    unbiased = 0.5 * (inner_product(distill_a, task_b) + inner_product(distill_b, task_a))
    return distill, task, inner_product(distill, task) - unbiased


def geometry_tensor(distill: Gradients, task: Gradients, shared_noise: Tensor | None = None) -> Tensor:
    """Return (‖g_d‖², ‖g_t‖², ⟨g_d, g_t⟩) as a double tensor [3] on the gradients' device.

    Norms come from one fused kernel; squares are summed in double precision. Gradients in half precision are widened
    first, since their products overflow.

    Raises:
        RuntimeError: the parameters lie on several devices.
    """
    # One kernel for all norms, and one transfer of all numbers to double precision.
    distill, task = _widened(distill), _widened(task)
    present = [g for g in (*distill, *task) if g is not None]
    if not present:
        return torch.zeros(3, dtype=torch.float64)
    norms = iter(torch._foreach_norm(present))
    zero = present[0].new_zeros(())
    rows = [zero if g is None else next(norms) for g in (*distill, *task)]
    rows += [zero if d is None or t is None else _dot(d, t) for d, t in zip(distill, task, strict=True)]
    values = torch.stack(rows).double().view(3, -1)
    values[:2].square_()
    values = values.sum(1)
    if shared_noise is not None:
        values[2] -= shared_noise
    return values


def inner_product(distill: Gradients, task: Gradients) -> Tensor:
    """Return ⟨g_d, g_t⟩ as a double scalar."""
    both = [(d, t) for d, t in zip(_widened(distill), _widened(task), strict=True) if d is not None and t is not None]
    if not both:
        device = next((g.device for g in (*distill, *task) if g is not None), None)
        return torch.zeros((), dtype=torch.float64, device=device)
    return torch.stack([_dot(d, t) for d, t in both]).double().sum()


def accumulate(
    parameters: Sequence[Tensor], distill: Gradients, task: Gradients, distill_weight: float, task_weight: float
) -> None:
    """Add `distill_weight`·g_d + `task_weight`·g_t to every parameter's `.grad`, as `backward` would.

    A gradient whose weight is 0 is left out, so that a broken loss without weight cannot spoil the sum (0·∞).
    """
    for parameter, gradient in zip(parameters, _mix(distill, task, distill_weight, task_weight), strict=True):
        if gradient is None:
            continue
        if parameter.grad is None:
            parameter.grad = gradient
        else:
            parameter.grad.add_(gradient)


def add_gradients(total: Gradients | None, more: Gradients) -> Gradients:
    """Add a gradient to a total, in place; the first total gets new tensors, since autograd's own may share memory."""
    if total is None:
        return tuple(_scaled(more, 1.0))
    summed = []
    for one, other in zip(total, more, strict=True):
        if one is None:
            summed.append(None if other is None else other.clone())
        else:
            summed.append(one if other is None else one.add_(other))
    return tuple(summed)


def _blend(first: Gradients, second: Gradients, share: float) -> Gradients:
    return add_gradients(tuple(_scaled(first, share)), tuple(_scaled(second, 1.0 - share)))


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
    """Multiply into new tensors, since autograd may return one tensor twice, or one whose elements share memory."""
    present = [g for g in gradients if g is not None]
    scaled = iter(torch._foreach_mul(present, weight) if present else ())
    return [None if g is None else next(scaled) for g in gradients]


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return torch.dot(one.flatten(), other.flatten())


def _widened(gradients: Gradients) -> Gradients:
    if all(g is None or g.dtype not in _HALF for g in gradients):
        return gradients
    return tuple(g.float() if g is not None and g.dtype in _HALF else g for g in gradients)
