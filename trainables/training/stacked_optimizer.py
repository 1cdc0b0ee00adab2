"""Runs the optimisers of R students as one.

R: students, here members; P: numbers of a row of their stack. Adam, AdamW and SGD treat every number by itself, so a
step on all members' parameters, [R, P], is a step of each. Only the number of steps is counted once for a tensor. It is
the same for all members until a step of one of them is skipped. From then on each member has a tensor of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, optim

from trainables.config import TrainingSettings
from trainables.training.optimization import create_optimizer, create_schedule

_State: TypeAlias = dict[str, Tensor]
"""The state of one member: tensors [P], and counters without dimensions."""
_Schedule: TypeAlias = optim.lr_scheduler.LambdaLR


class StackedOptimizer:
    """One optimiser, with its schedule, in place of R.

    Args:
        parameters: [R, P]; changed in place.
        sizes: lengths of the parts of a row: the members' parameters in their order, then what belongs to none of them.
        optimizers: the members' own, made by `create_optimizer` from the same settings. Their state is continued here;
            they do not change until `hand_over`.
        schedules: theirs, all after the same number of steps.
        settings: the training's settings.
        total_steps: the training's number of steps.
    """

    def __init__(
        self,
        parameters: Tensor,
        sizes: Sequence[int],
        optimizers: Sequence[optim.Optimizer],
        schedules: Sequence[_Schedule],
        settings: TrainingSettings,
        total_steps: int,
    ) -> None:
        self._parameters, self._sizes = parameters.detach(), list(sizes)
        self._optimizers, self._schedules = tuple(optimizers), tuple(schedules)
        self._settings, self._total_steps = settings, total_steps
        self._begin([self._collected(optimizer) for optimizer in optimizers], schedules[0])

    def step(self, gradient: Tensor | None, skipped: frozenset[int]) -> None:
        """Take a step of the optimiser and of the schedule.

        Args:
            gradient: [R, P]; None if the step of all members is skipped.
            skipped: members whose step is skipped; only their schedule advances.
        """
        if skipped and self._as_one:
            self._begin(self._states(), self._schedule, as_one=False)
        if self._as_one:
            self._tensors[0].grad = gradient
        else:
            for member, tensor in enumerate(self._tensors):
                tensor.grad = None if gradient is None or member in skipped else gradient[member]
        self._optimizer.step()
        self._schedule.step()

    def hand_over(self) -> None:
        """Copy the present state to the members' own optimisers and schedules."""
        rate, progress = self._optimizer.param_groups[0]["lr"], self._schedule.state_dict()
        for optimizer, schedule, state in zip(self._optimizers, self._schedules, self._states(), strict=True):
            self._distribute(state, optimizer)
            optimizer.param_groups[0]["lr"] = rate
            schedule.load_state_dict(progress)

    def _begin(self, states: Sequence[_State], schedule: _Schedule, *, as_one: bool = True) -> None:
        """Continue from states and a schedule's state: as one, if that is asked for and no counter differs."""
        self._as_one = as_one and all(_counters(state) == _counters(states[0]) for state in states)
        self._tensors = [self._parameters] if self._as_one else list(self._parameters.unbind())
        rate, progress = schedule.optimizer.param_groups[0]["lr"], schedule.state_dict()
        self._optimizer = create_optimizer(self._tensors, self._settings)
        self._schedule = create_schedule(self._optimizer, self._settings, self._total_steps)
        self._schedule.load_state_dict(progress)
        self._optimizer.param_groups[0]["lr"] = rate
        for tensor, state in zip(self._tensors, [_stacked(states)] if self._as_one else states, strict=True):
            if state:
                self._optimizer.state[tensor] = dict(state)

    def _states(self) -> list[_State]:
        """Return the state of each member, in tensors of its own."""
        kept = [_tensors_of(self._optimizer.state[tensor]) for tensor in self._tensors]
        if not self._as_one:
            return [{name: value.clone() for name, value in state.items()} for state in kept]
        return [
            {name: (value[member] if value.ndim else value).clone() for name, value in kept[0].items()}
            for member in range(len(self._parameters))
        ]

    def _collected(self, optimizer: optim.Optimizer) -> _State:
        """Join the state of all of a member's parameters; empty before its first step."""
        states = [_tensors_of(optimizer.state[p]) for p in optimizer.param_groups[0]["params"] if p in optimizer.state]
        collected: _State = {}
        for name, value in (states[0] if states else {}).items():
            if value.ndim:
                parts = [state[name].flatten() for state in states]
                collected[name] = torch.cat([*parts, value.new_zeros(self._sizes[-1])])
            else:
                collected[name] = value
        return collected

    def _distribute(self, state: _State, optimizer: optim.Optimizer) -> None:
        """Do the opposite of `_collected`: give each parameter its part of the state."""
        parts = {name: torch.split(value, self._sizes) for name, value in state.items() if value.ndim}
        for index, parameter in enumerate(optimizer.param_groups[0]["params"] if state else ()):
            optimizer.state[parameter] = {
                name: parts[name][index].view_as(parameter) if value.ndim else value.clone()
                for name, value in state.items()
            }


def _stacked(states: Sequence[_State]) -> _State:
    first = states[0]
    return {name: torch.stack([s[name] for s in states]) if value.ndim else value for name, value in first.items()}


def _counters(state: _State) -> dict[str, float]:
    """Return the counters by name; for a tensor [P], -1."""
    return {name: -1.0 if value.ndim else float(value) for name, value in state.items()}


def _tensors_of(state: dict[str, Tensor | None]) -> _State:
    return {name: value for name, value in state.items() if value is not None}
