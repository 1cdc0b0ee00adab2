"""Writes a monitor's records to TensorBoard."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import Any

from policies.errors import PolicyError
from policies.monitoring.log import LOG_FILE
from policies.monitoring.sinks import JsonLines, Record, scalars_of, told_of

PREFIX = "kd/"
"""The group of the curves."""


class TensorBoard:
    """Draws λ and the readings as scalars, and alarms as text, with the step as the axis.

    The whole log lies beside TensorBoard's files, so `kd-search explain FOLDER` reads it.

    Args:
        target: TensorBoard's folder of this training, or a `SummaryWriter` of yours (Lightning: `logger.experiment`).

    Raises:
        PolicyError: the package `tensorboard` is not installed, or the folder cannot be written.
    """

    def __init__(self, target: str | pathlib.Path | Any) -> None:
        self._own = isinstance(target, str | pathlib.Path)
        self._writer: Any = _writer(target) if isinstance(target, str | pathlib.Path) else target
        if not hasattr(self._writer, "add_scalar") or not hasattr(self._writer, "log_dir"):
            raise PolicyError(
                f"`target` must be a folder or a `SummaryWriter`, but got {type(target).__name__}; pass a folder."
            )
        self._log = JsonLines(pathlib.Path(self._writer.log_dir) / LOG_FILE)

    def write(self, records: Sequence[Record]) -> None:
        """Add the records; TensorBoard's own thread writes its file."""
        self._log.write(records)
        for record in records:
            for name, value in scalars_of(record).items():
                self._writer.add_scalar(f"{PREFIX}{name}", value, record["step"])
            if text := told_of(record):
                self._writer.add_text(f"{PREFIX}{record['kind']}", text, record["step"])
                self._writer.flush()

    def close(self) -> None:
        """Write what TensorBoard still holds back; a writer of yours stays open."""
        self._log.close()
        self._writer.close() if self._own else self._writer.flush()


def _writer(folder: str | pathlib.Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise PolicyError(
            "`TensorBoard` needs the package `tensorboard`, which is not installed; install it with"
            " `pip install tensorboard`, or pass a file's name as `to` instead."
        ) from error
    try:
        return SummaryWriter(str(folder))
    except OSError as error:
        raise PolicyError(
            f"cannot write TensorBoard's folder {str(folder)!r}: {error.strerror or error}; name another."
        ) from error
