"""Creates the optimiser and the schedule that a task defines, and checks them before anything is spent."""

from __future__ import annotations

import io
import pickle
from typing import Any, Protocol

import torch
from torch import nn, optim

from policies.extensions import told
from trainables.config import OwnTask
from trainables.errors import ConfigError
from trainables.tasks.checks import call
from trainables.tasks.task import Task


class Schedule(Protocol):
    """The schedule of a learning rate, which is stepped after every step of the optimiser."""

    def step(self) -> None:
        """Set the learning rate of the next step."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return the state in plain values."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        ...


class _Constant:
    """A schedule that changes nothing."""

    def step(self) -> None:
        pass

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        pass


def own_optimizer(
    own: OwnTask, task: Task, student: nn.Module, learning_rate: float, total_steps: int
) -> tuple[optim.Optimizer, Schedule]:
    """Return the optimiser that a task defines, and its schedule.

    Raises:
        ConfigError: `optimizer` fails, returns something else, or leaves out a parameter of the student.
    """
    found = call(own, "optimizer", lambda: task.optimizer(student, learning_rate, total_steps))
    optimizer, schedule = found if isinstance(found, tuple) and len(found) == 2 else (found, _Constant())
    has_schedule = isinstance(schedule, optim.lr_scheduler.LRScheduler | _Constant)
    if not isinstance(optimizer, optim.Optimizer) or not has_schedule:
        given = ", ".join(type(part).__name__ for part in (found if isinstance(found, tuple) else (found,)))
        raise ConfigError(
            f"`optimizer` of the task {own.origin} must return a torch.optim.Optimizer, or a pair of it and a"
            f" torch.optim.lr_scheduler.LRScheduler, but got {given}."
        )
    if isinstance(schedule, optim.lr_scheduler.ReduceLROnPlateau):
        raise ConfigError(
            f"`optimizer` of the task {own.origin} must return a schedule that depends on the step alone, but got"
            " ReduceLROnPlateau, which waits for scores; use another schedule."
        )
    held = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    trained = [(name, parameter) for name, parameter in student.named_parameters() if parameter.requires_grad]
    left = [name for name, parameter in trained if id(parameter) not in held]
    if left:
        raise ConfigError(
            f"`optimizer` of the task {own.origin} must hold all parameters that have a gradient, but leaves out"
            f" {left[0]!r}{f' and {len(left) - 1} more' if len(left) > 1 else ''}; call `requires_grad_(False)` in"
            " `student` on those that are to stay as they are."
        )
    return optimizer, schedule


def check_optimizer(own: OwnTask, task: Task, learning_rates: tuple[float, float] | None) -> None:
    """Take three steps with a task's optimiser, store it, and see that it resumes to the same weights.

    Args:
        own: the task.
        task: created from it.
        learning_rates: two rates that a search may choose; None if the learning rate is not searched.

    Raises:
        ConfigError: a method fails, the state cannot be stored, a resumed training differs, or the learning rate is
            searched and has no effect.
    """
    whole = _Training(own, task, 1e-3)
    whole.steps(2)
    try:
        stored = whole.stored()
        resumed = _Training(own, task, 1e-3)
        resumed.load(stored)
    except (pickle.UnpicklingError, pickle.PicklingError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            f"`optimizer` of the task {own.origin} must have a state of tensors and plain values, so that a search can"
            f" be resumed, but it cannot be stored and read again: {told(error)}."
        ) from error
    for training in (whole, resumed):
        training.steps(1)
    if not whole.has_the_weights_of(resumed):
        raise ConfigError(
            f"`optimizer` of the task {own.origin} does not resume: after its state was stored and read again, the next"
            " step gives other weights; keep all that it remembers in `state_dict`."
        )
    if learning_rates is not None and _groups(own, task, learning_rates[0]) == _groups(own, task, learning_rates[1]):
        raise ConfigError(
            f"`space.learning_rate` is searched, but `optimizer` of the task {own.origin} gives the same optimiser for"
            f" {learning_rates[0]:g} and {learning_rates[1]:g}; use its argument `learning_rate`, or remove"
            " `space.learning_rate`."
        )


class _Training:
    """A student under its task's optimiser, with made-up gradients."""

    def __init__(self, own: OwnTask, task: Task, learning_rate: float) -> None:
        self.student = call(own, "student", task.student)
        self.own, self.random = own, torch.Generator().manual_seed(0)
        self.optimizer, self.schedule = own_optimizer(own, task, self.student, learning_rate, 10)

    def steps(self, count: int) -> None:
        for _ in range(count):
            for parameter in self.student.parameters():
                if parameter.requires_grad:
                    parameter.grad = torch.randn(parameter.shape, generator=self.random).to(parameter)
            call(self.own, "optimizer", self.optimizer.step)
            call(self.own, "optimizer", self.schedule.step)

    def stored(self) -> bytes:
        stream = io.BytesIO()
        states = [part.state_dict() for part in (self.student, self.optimizer, self.schedule)]
        torch.save([*states, self.random.get_state()], stream)
        return stream.getvalue()

    def load(self, stored: bytes) -> None:
        *states, random = torch.load(io.BytesIO(stored), weights_only=True)
        self.student.load_state_dict(states[0])
        self.optimizer.load_state_dict(states[1])
        self.schedule.load_state_dict(states[2])
        self.random.set_state(random)

    def has_the_weights_of(self, other: _Training) -> bool:
        states = self.student.state_dict(), other.student.state_dict()
        return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def _groups(own: OwnTask, task: Task, learning_rate: float) -> list[dict[str, Any]]:
    """Return the settings of all groups of parameters under a learning rate."""
    groups = _Training(own, task, learning_rate).optimizer.param_groups
    return [{name: value for name, value in group.items() if name != "params"} for group in groups]
