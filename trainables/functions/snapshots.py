"""Stores what an interrupted training continues from: a folder of the user's files, and the notes beside it."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import torch

NOTES_FILE = "notes.pt"
USER_FOLDER = "user"
_PREFIX, _UNFINISHED = "snapshot-", "unfinished-"


def write_snapshot(scratch: pathlib.Path, write: Callable[[pathlib.Path], object], notes: dict[str, Any]) -> None:
    """Write a snapshot into a training's folder, in place of the one before.

    Args:
        scratch: the training's folder.
        write: called with an empty folder for the user's files.
        notes: tensors and plain values.
    """
    before = newest_snapshot(scratch)
    number = 0 if before is None else int(before.name.removeprefix(_PREFIX)) + 1
    unfinished = scratch / f"{_UNFINISHED}{number}"
    (unfinished / USER_FOLDER).mkdir(parents=True)
    try:
        write(unfinished / USER_FOLDER)
        torch.save(notes, unfinished / NOTES_FILE)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    unfinished.rename(scratch / f"{_PREFIX}{number}")
    if before is not None:
        shutil.rmtree(before, ignore_errors=True)


def newest_snapshot(scratch: pathlib.Path) -> pathlib.Path | None:
    """Return the newest complete snapshot in a training's folder; None if there is none."""
    found = list(scratch.glob(f"{_PREFIX}*"))
    return max(found, key=lambda path: int(path.name.removeprefix(_PREFIX)), default=None)


def read_notes(snapshot: pathlib.Path) -> dict[str, Any]:
    """Read the notes of a snapshot, without running code."""
    notes: dict[str, Any] = torch.load(snapshot / NOTES_FILE, map_location="cpu", weights_only=True)
    return notes
