"""A training function of the user's own as a part of the settings, so that it reaches every process. Imports no torch.

Reading settings does not run the user's file; `trainables.functions.load_function` does.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from trainables.settings import Settings


class OwnFunction(Settings):
    """A function `(run) -> None` that trains one student, given by its name, its file's text, and its options."""

    origin: str
    """The names of the file and the function: `train.py:distil`."""
    source: str
    """The file's text."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Values that the function reads as `run.options`."""
    processes: int = Field(0, ge=0, le=64)
    """0 runs the function in the worker's process, one training after another. 1 gives each training a process of its
    own. More start that many processes with the environment that `torchrun` sets."""

    @property
    def file(self) -> str:
        """The file's name."""
        return self.origin.rpartition(":")[0]
