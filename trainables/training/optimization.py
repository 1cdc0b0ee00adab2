"""The optimiser and the learning rate's schedule that training settings describe."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn, optim

from trainables.config import TrainingSettings

# The schedule of Smith and Topin 2017 (arXiv 1708.07120), with the shares that PyTorch's OneCycleLR takes.
_WARM_UP = 0.3
_FIRST = 1 / 25
_LAST = _FIRST / 1e4

_NORMALISATIONS = (
    nn.modules.batchnorm._NormBase,  # of batches and of instances
    *(nn.LayerNorm, nn.GroupNorm, nn.RMSNorm),
)

Parameters: TypeAlias = Iterable[Tensor] | Iterable[dict[str, Any]]
"""The parameters of an optimiser, or groups of them as PyTorch's optimisers take them."""


class _Undecorated(optim.Optimizer):
    """An optimiser's methods without the decorators that keep PyTorch's compiler out of them.

    The decorators import the compiler with the first optimiser of a process. That takes a second of CPU in the driver,
    for its teacher, and in every worker. Nothing here compiles an optimiser.
    """

    add_param_group = inspect.unwrap(optim.Optimizer.add_param_group)
    state_dict = inspect.unwrap(optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(optim.Optimizer.load_state_dict)
    zero_grad = inspect.unwrap(optim.Optimizer.zero_grad)


class _SGD(_Undecorated, optim.SGD):
    step = torch.no_grad()(inspect.unwrap(optim.SGD.step))


class _Adam(_Undecorated, optim.Adam):
    step = torch.no_grad()(inspect.unwrap(optim.Adam.step))


class _AdamW(_Undecorated, optim.AdamW):
    step = torch.no_grad()(inspect.unwrap(optim.AdamW.step))


def parameter_groups(network: nn.Module, settings: TrainingSettings) -> Parameters:
    """Return a network's parameters, in groups by their weight decay if the settings have several.

    The groups are all other parameters, those of normalisation layers, and the biases of all other layers.
    """
    if settings.has_one_decay:
        return list(network.parameters())
    decays = {"": settings.weight_decay, "norm": settings.norm_weight_decay, "bias": settings.bias_weight_decay}
    found: dict[str, list[Tensor]] = {kind: [] for kind, decay in decays.items() if decay is not None}
    seen: set[int] = set()
    for module in network.modules():
        normalises = isinstance(module, _NORMALISATIONS)
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                kind = "norm" if normalises else "bias" if _is_bias(name) else ""
                found[kind if kind in found else ""].append(parameter)
    return [{"params": group, "weight_decay": decays[kind]} for kind, group in found.items() if group]


def _is_bias(name: str) -> bool:
    """Tell whether a parameter of this name is a bias: `bias`, `bias_ih_l0` of a recurrent layer, `in_proj_bias`."""
    return "bias" in (name, name.partition("_")[0], name.rpartition("_")[2])


def create_optimizer(parameters: Parameters, settings: TrainingSettings) -> optim.Optimizer:
    """Create an optimiser at the settings' (peak) learning rate.

    `adamw` decays the weights apart from the gradient (arXiv 1711.05101), `adam` and `sgd` through it. `sgd` has
    Nesterov momentum if the settings say so and the momentum is not 0. Only `sgd` reads `momentum` and `nesterov`.
    """
    # Fused: on a CPU a step of a small network's optimiser takes a quarter of the time of the plain one.
    if settings.optimizer == "sgd":
        return _SGD(
            parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov and settings.momentum > 0,
            weight_decay=settings.weight_decay,
            fused=True,
        )
    kind = _AdamW if settings.optimizer == "adamw" else _Adam
    return kind(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)


def create_schedule(
    optimizer: optim.Optimizer, settings: TrainingSettings, total_steps: int
) -> optim.lr_scheduler.LambdaLR:
    """Create the learning rate's schedule; call its `step()` after every step of the optimiser.

    Args:
        optimizer: from `create_optimizer`.
        settings: names the schedule.
        total_steps: the number of steps of the training, at least 1.
    """
    return optim.lr_scheduler.LambdaLR(optimizer, lambda step: _factor(settings, step, total_steps))


def _factor(settings: TrainingSettings, step: int, total: int) -> float:
    """Return the share of the peak that the learning rate has at a step, counted from 0, of a training."""
    if settings.schedule_per == "epoch":  # the first step of the epoch decides
        step = -(-(step * settings.epochs // total) * total // settings.epochs)
    warm_up = settings.warm_up_epochs * total / settings.epochs
    if step < warm_up:
        return settings.warm_up_start + (1.0 - settings.warm_up_start) * step / warm_up
    if settings.schedule == "multi_step":
        return _multi_step(step, total, settings)
    return _FACTORS[settings.schedule](step - warm_up, total - warm_up)


def _one_cycle(step: float, total: float) -> float:
    """Half a cosine up from 1/25 over the first 30 % of the training, half a cosine down to 1/250,000 at its end.

    The factor is read in the middle of each step, so that a training of two steps also learns in both.
    """
    position = min(1.0, (step + 0.5) / total)
    if position < _WARM_UP:
        return _half_cosine(_FIRST, 1.0, position / _WARM_UP)
    return _half_cosine(1.0, _LAST, (position - _WARM_UP) / (1.0 - _WARM_UP))


def _cosine(step: float, total: float) -> float:
    """Half a cosine from 1 to 0, which the step after the last would have (arXiv 1608.03983, without restarts)."""
    return _half_cosine(1.0, 0.0, min(1.0, step / total))


def _multi_step(step: int, total: int, settings: TrainingSettings) -> float:
    """`gamma` to the power of the milestones that are over, which are epochs of the whole training.

    Without milestones they are half of the steps and three quarters (as He et al. 2015 for CIFAR).
    """
    if settings.milestones is None:
        return settings.gamma ** ((2 * step >= total) + (4 * step >= 3 * total))
    return settings.gamma ** sum(step * settings.epochs >= mark * total for mark in settings.milestones)


def _constant(_step: float, _total: float) -> float:
    return 1.0


def _half_cosine(start: float, end: float, position: float) -> float:
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * position))


_FACTORS: dict[str, Callable[[float, float], float]] = {
    "one_cycle": _one_cycle,
    "cosine": _cosine,
    "constant": _constant,
}
