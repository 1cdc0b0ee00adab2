"""The optimiser and the learning rate's schedule that training settings describe."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, optim

from trainables.config import TrainingSettings

# The schedule of Smith and Topin 2017 (arXiv 1708.07120), with the shares that PyTorch's OneCycleLR takes.
_WARM_UP = 0.3
_FIRST = 1 / 25
_LAST = _FIRST / 1e4


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


def create_optimizer(parameters: Iterable[Tensor], settings: TrainingSettings) -> optim.Optimizer:
    """Create an optimiser at the settings' (peak) learning rate.

    `adamw` decays the weights apart from the gradient (arXiv 1711.05101), `adam` and `sgd` through it. `sgd` has
    Nesterov momentum unless the momentum is 0. Only `sgd` reads `momentum`.
    """
    # Fused: on a CPU a step of a small network's optimiser takes a quarter of the time of the plain one.
    if settings.optimizer == "sgd":
        return _SGD(
            parameters,
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
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
    factor = _FACTORS[settings.schedule]
    return optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step, total_steps))


def _one_cycle(step: int, total: int) -> float:
    """Half a cosine up from 1/25 over the first 30 % of the training, half a cosine down to 1/250,000 at its end.

    The factor is read in the middle of each step, so that a training of two steps also learns in both.
    """
    position = min(1.0, (step + 0.5) / total)
    if position < _WARM_UP:
        return _half_cosine(_FIRST, 1.0, position / _WARM_UP)
    return _half_cosine(1.0, _LAST, (position - _WARM_UP) / (1.0 - _WARM_UP))


def _cosine(step: int, total: int) -> float:
    """Half a cosine from 1 to 0, which the step after the last would have (arXiv 1608.03983, without restarts)."""
    return _half_cosine(1.0, 0.0, min(1.0, step / total))


def _multi_step(step: int, total: int) -> float:
    """A tenth from half of the steps on, a hundredth from three quarters on (as He et al. 2015 for CIFAR)."""
    return 0.1 ** ((2 * step >= total) + (4 * step >= 3 * total))


def _constant(_step: int, _total: int) -> float:
    return 1.0


def _half_cosine(start: float, end: float, position: float) -> float:
    return end + 0.5 * (start - end) * (1.0 + math.cos(math.pi * position))


_FACTORS: dict[str, Callable[[int, int], float]] = {
    "one_cycle": _one_cycle,
    "cosine": _cosine,
    "multi_step": _multi_step,
    "constant": _constant,
}
