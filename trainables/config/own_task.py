"""A task of the user's own as a part of the settings, so that it reaches every process.

Importing this loads no torch, and reading stored settings does not run the user's file; `create` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from policies.errors import nearest
from policies.own_file import load_module
from trainables.errors import ConfigError
from trainables.settings import Settings

if TYPE_CHECKING:
    from trainables.tasks import Task


class OwnTask(Settings):
    """A task, given by its class, the text of the class's file, and the values of its options."""

    origin: str
    """The names of the file and the class: `reviews.py:Reviews`."""
    source: str
    """The file's text."""
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def file(self) -> str:
        """The file's name."""
        return self.origin.rpartition(":")[0]

    @property
    def task_class(self) -> type[Task]:
        """The class.

        Raises:
            PolicyError: the file fails when it is run.
            ConfigError: the file has no such task, or the task lacks a method.
        """
        from trainables.tasks import Task

        name = self.origin.rpartition(":")[2]
        module = load_module(self.file, self.source)
        found = vars(module).get(name)
        own = [
            key
            for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, Task) and value.__module__ == module.__name__
        ]
        if found is None or not isinstance(found, type) or not issubclass(found, Task):
            raise ConfigError(
                f"{self.file} has no task {name!r}; tasks in it (classes derived from trainables.tasks.Task):"
                f" {', '.join(own) or 'none'}.{nearest(name, own)}"
            )
        _check_complete(found)
        return found

    def create(self, **changes: Any) -> Task:
        """Create the task with its options; `changes` replace some of them.

        Raises:
            ConfigError: as `task_class`, or an option is unknown or invalid.
        """
        return self.task_class.parse({**self.options, **changes}, "task.options")


def _check_complete(found: type[Task]) -> None:
    """Raise ConfigError if a task lacks a method that it must define."""
    from trainables.tasks import Task

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
