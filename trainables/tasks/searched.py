"""Checks that options of a task may be searched: they must not change data, teacher or the student's network.

A search reads a task's sets and asks its teacher once, with the options of the search file. So an option on which these
depend would not have the effect that its name promises.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from trainables.config import OwnTask
from trainables.errors import ConfigError, KDPolicySearchError
from trainables.tasks.assets import Samples
from trainables.tasks.checks import call, try_out_task
from trainables.tasks.own import task_with, whole_options
from trainables.tasks.task import Task
from trainables.tasks.trees import leaves, map_tree

SECTION = "space.options"
_FEW = 8


@contextlib.contextmanager
def options_read(task: Task) -> Iterator[set[str]]:
    """Record the names of the options that a task's methods read inside the block."""
    plain, read = type(task), set[str]()
    fields = frozenset(plain.model_fields)

    class Watched(plain):  # type: ignore[valid-type, misc]
        def __getattribute__(self, name: str) -> Any:
            if name in fields:
                read.add(name)
            elif name == "__dict__" or name.startswith("model_dump"):
                read.update(fields)
            return super().__getattribute__(name)

    object.__setattr__(task, "__class__", Watched)
    try:
        yield read
    finally:
        object.__setattr__(task, "__class__", plain)


@dataclasses.dataclass(frozen=True)
class SearchedOptions:
    """The options of a task that are searched, with their lowest and highest values by name.

    Args:
        own: the task.
        lowest: the lowest value of each option.
        highest: the highest value of each.
        listed: the options whose values are listed, so that a search chooses no other.
    """

    own: OwnTask
    lowest: Mapping[str, float]
    highest: Mapping[str, float]
    listed: frozenset[str] = frozenset()

    def check_values(self) -> None:
        """Check that the task accepts both ends of all ranges.

        Raises:
            ConfigError: an option is unknown, a value is not valid, or a range is given for an option of type `int`.
        """
        for end in (self.lowest, self.highest):
            whole = whole_options(type(task_with(self.own, end, SECTION)))
        for name in self.lowest:
            if name in whole and name not in self.listed:
                raise ConfigError(
                    f"`{SECTION}.{name}` must list its values, since the option holds whole numbers, but got a range;"
                    f" write {name} = {{ choices = [{self.lowest[name]:g}, {self.highest[name]:g}] }}."
                )

    def check_unchanged(self, read: set[str], what: str, digest: Callable[[Task], str]) -> None:
        """Check that something is the same at both ends of all ranges, if it was made with a searched option.

        Args:
            read: the options that were read when it was made; if none of them is searched, it need not be made again.
            what: what is made, for messages: `sets`.
            digest: makes it again with a task, and returns its digest.

        Raises:
            ConfigError: it differs.
        """
        suspects = sorted(read & self.lowest.keys())
        if suspects and digest(task_with(self.own, self.lowest)) != digest(task_with(self.own, self.highest)):
            raise ConfigError(
                f"`{SECTION}.{suspects[0]}` cannot be searched, since `{what}` of the task {self.own.origin} depends on"
                " it, and trials on other data or with another teacher cannot be compared; remove it, and make a search"
                " of its own for each value."
            )

    def try_out(self, options: Mapping[str, Any], train: Samples) -> set[str]:
        """Try a student with its losses at both ends of all ranges.

        Args:
            options: the student's own options, which replace those of the task.
            train: the training samples.

        Returns:
            The names of the options that were read.

        Raises:
            ConfigError: an option changes the student's network, or a method of the task fails at an end.
        """
        read = set[str]()
        for end in (self.lowest, self.highest):
            task, told = task_with(self.own, {**options, **end}), ", ".join(f"{k} = {v:g}" for k, v in end.items())
            try:
                with options_read(task) as found:
                    try_out_task(self.own, task, train, section=SECTION)
            except KDPolicySearchError as error:
                raise ConfigError(f"`{SECTION}` allows {told}; with these values {error}") from error
            read |= found
            if not _same_network(self.own, task_with(self.own, options), task, train):
                raise ConfigError(
                    f"`{SECTION}` must not change the student's network, but with {told} the task {self.own.origin}"
                    " builds another one, or one that gives other outputs with the same weights; compare students under"
                    " `space.students.NAME.options`."
                )
        return read


def _same_network(own: OwnTask, one: Task, other: Task, train: Samples) -> bool:
    """Tell whether two tasks' students have equal parameters by name and shape, and compute the same with them."""
    networks: list[nn.Module] = [call(own, "student", task.student).eval() for task in (one, other)]
    states = [network.state_dict() for network in networks]
    if [(k, v.shape) for k, v in states[0].items()] != [(k, v.shape) for k, v in states[1].items()]:
        return False
    networks[1].load_state_dict(states[0])
    inputs = map_tree(lambda rows: torch.tensor(rows[:_FEW]), train.inputs)
    with torch.no_grad():
        outputs = [
            list(leaves(call(own, "forward(student, inputs)", lambda: task.forward(network, inputs))))  # noqa: B023
            for task, network in zip((one, other), networks, strict=True)
        ]
    return all(torch.equal(a, b) for a, b in zip(*outputs, strict=True))
