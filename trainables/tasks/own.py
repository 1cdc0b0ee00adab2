"""Creates a user's task from the text of its file."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any

from policies.errors import nearest
from policies.own_file import load_module
from trainables.config import OwnTask
from trainables.errors import ConfigError
from trainables.tasks.task import Task


def create_task(own: OwnTask, /, **changes: Any) -> Task:
    """Create a task with its options; `changes` replace some of them.

    Raises:
        PolicyError: as `task_with`.
        ConfigError: likewise.
    """
    return task_with(own, changes)


def task_with(own: OwnTask, changes: Mapping[str, Any], section: str = "task.options") -> Task:
    """Create a task with its options; `changes` replace some of them.

    Args:
        own: the task.
        changes: options by name. A whole number, such as 3.0, may be that of an option of type `int`, since a search
            proposes floats.
        section: the place of the options in the search file, for messages.

    Raises:
        PolicyError: the file fails when it is run.
        ConfigError: the file has no such task, the task lacks a method, or an option is unknown or invalid.
    """
    name = own.origin.rpartition(":")[2]
    module = load_module(own.file, own.source)
    found = vars(module).get(name)
    if found is None or not isinstance(found, type) or not issubclass(found, Task):
        known = [
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__
        ]
        raise ConfigError(
            f"{own.file} has no task {name!r}; tasks in it (classes derived from trainables.tasks.Task):"
            f" {', '.join(known) or 'none'}.{nearest(name, known)}"
        )
    _check_complete(found)
    typed = {name: _typed(found, name, value) for name, value in changes.items()}
    return found.parse({**own.options, **typed}, section)


def _typed(found: type[Task], name: str, value: Any) -> Any:
    """Return a float that is whole as an int, if the option has this type."""
    is_whole = isinstance(value, float) and value.is_integer() and name in whole_options(found)
    return int(value) if is_whole else value


def whole_options(found: type[Task]) -> frozenset[str]:
    """Return the names of a task's options that hold whole numbers: those of type `int`, or `int | None`."""
    kinds = {name: field.annotation for name, field in found.model_fields.items()}
    allowed = {name: set(typing.get_args(kind)) or {kind} for name, kind in kinds.items()}
    return frozenset(name for name, of in allowed.items() if int in of and float not in of)


def _check_complete(found: type[Task]) -> None:
    """Raise ConfigError if a task lacks a method that it must define."""

    def missing(*names: str) -> list[str]:
        return [f"`{name}`" for name in names if getattr(found, name) is getattr(Task, name)]

    for name in found.model_fields:
        if name in vars(Task):
            raise ConfigError(
                f"the option `{name}` of the task `{found.__name__}` has a name that trainables.tasks.Task uses itself;"
                f" rename it, or write `{name} = …` without a type if you mean that of Task."
            )
    lacks = missing("sets", "student", "teacher")
    if lacks:
        raise ConfigError(f"the task `{found.__name__}` must define {' and '.join(lacks)}; see trainables.tasks.Task.")
    losses = missing("task_loss", "distill_loss")
    if len(losses) == 1:
        raise ConfigError(f"the task `{found.__name__}` must define both losses or neither, but lacks {losses[0]}.")
    if not found.classification:
        for name, why in (("task_loss", "has no default loss"), ("metrics", "has no default metric")):
            if missing(name):
                raise ConfigError(
                    f"the task `{found.__name__}` is no classification and {why}, so it must define `{name}`."
                )
