"""Creates a user's task from the text of its file."""

from __future__ import annotations

from typing import Any

from policies.errors import nearest
from policies.own_file import load_module
from trainables.config import OwnTask
from trainables.errors import ConfigError
from trainables.tasks.task import Task


def create_task(own: OwnTask, **changes: Any) -> Task:
    """Create a task with its options; `changes` replace some of them.

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
    return found.parse({**own.options, **changes}, "task.options")


def _check_complete(found: type[Task]) -> None:
    """Raise ConfigError if a task lacks a method that it must define."""

    def missing(*names: str) -> list[str]:
        return [f"`{name}`" for name in names if getattr(found, name) is getattr(Task, name)]

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
