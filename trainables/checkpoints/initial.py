"""Reads the weights that a network's training begins with, in place of random ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from trainables.checkpoints.fitting import Fitted, fit_weights
from trainables.checkpoints.reading import read_weights
from trainables.config import ModelSettings
from trainables.errors import CheckpointError


def read_initial_weights(settings: ModelSettings, expected: Mapping[str, Tensor], section: str) -> Fitted:
    """Read a model's `checkpoint` and fit it to the model.

    The last layer is left out if it has another number of outputs in the file; it then begins with random weights.

    Args:
        settings: the model, with a checkpoint.
        expected: its state dict.
        section: its section in the search file, for messages.

    Raises:
        CheckpointError: there is no such file, it cannot be read, or it does not fit the model.
    """
    check_initial_weights(settings, section)
    assert settings.checkpoint is not None
    path, what = Path(settings.checkpoint).expanduser(), f"`{section}.checkpoint`"
    weights = read_weights(path, None, what)
    return fit_weights(
        weights, expected, model=settings.name, options=settings.options, path=path, what=what, fresh_head=True
    )


def check_initial_weights(settings: ModelSettings, section: str) -> None:
    """Raise CheckpointError if a model names a checkpoint that is no file."""
    if settings.checkpoint is not None and not Path(settings.checkpoint).expanduser().is_file():
        raise CheckpointError(
            f"`{section}.checkpoint` must be a file, but there is none at {settings.checkpoint!r}; correct the path, or"
            " remove it to begin with random weights."
        )
