"""A task of the user's own as a part of the settings, so that it reaches every process. Imports no torch.

Reading settings does not run the user's file; `trainables.tasks.create_task` does.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from trainables.settings import Settings


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
