"""Reads a teacher's weights from a file of the user's."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from trainables.checkpoints import fit_weights, read_weights
from trainables.config import TeacherSettings
from trainables.errors import CheckpointError

_WHAT = "the teacher's `checkpoint`"


def restore_weights(module: nn.Module, settings: TeacherSettings, path: Path, classes: int) -> tuple[str, ...]:
    """Load the weights in `path` into a teacher's network.

    See `trainables.checkpoints` for the files that are read. No code in them is run.

    Args:
        module: the network, on the CPU.
        settings: the teacher's.
        path: its checkpoint.
        classes: the number of the data's classes.

    Returns:
        Sentences on what was chosen in the file, for the user.

    Raises:
        CheckpointError: the file cannot be read, or its weights do not fit the model or the number of classes.
    """
    weights, model = read_weights(path, settings.weights, _WHAT), settings.model
    try:
        fitted = fit_weights(
            weights,
            module.state_dict(),
            model=model.name,
            options=model.options,
            path=path,
            what=_WHAT,
            wanted=settings.weights,
        )
    except CheckpointError:
        _check_classes(module, settings, path, classes)
        raise
    module.load_state_dict(fitted.tensors, strict=False)  # `fit_weights` is strict, except for counters
    return fitted.remarks


def _check_classes(module: nn.Module, settings: TeacherSettings, path: Path, classes: int) -> None:
    """Raise CheckpointError if everything fits but the number of classes."""
    try:
        fitted = fit_weights(
            read_weights(path, settings.weights, _WHAT),
            module.state_dict(),
            model=settings.model.name,
            options=settings.model.options,
            path=path,
            what=_WHAT,
            wanted=settings.weights,
            fresh_head=True,
        )
    except CheckpointError:
        return
    if fitted.other_outputs is not None:
        raise CheckpointError(
            f"the teacher in {str(path)!r} distinguishes {fitted.other_outputs} classes, but the data set has"
            f" {classes}; use a teacher that was trained on these classes."
        )
