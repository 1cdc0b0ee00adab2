"""Goes through a folder of pictures, and notes what is skipped and why."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trainables.datasets.folders.names import (
    holds_all_pictures,
    holds_no_pictures,
    is_hidden,
    why_unreadable,
)
from trainables.errors import DataError
from trainables.pictures import Skipped

_MOST_EXAMPLES = 3
_HIDDEN = "hidden files and folders, and those of tools"
_BROKEN = "links that lead nowhere"
_CIRCLES = "links to a folder that they lie in"
_BESIDE = "folders that belong to pictures, such as annotations"
_OUTSIDE = "pictures outside the folders of classes"


class Skips:
    """Notes what is skipped, by reason."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, reason: str, name: str) -> None:
        """Note a file or a folder, by its name within the folder of pictures."""
        self._counts[reason] = self._counts.get(reason, 0) + 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < _MOST_EXAMPLES:
            examples.append(readable(name))

    @property
    def found(self) -> tuple[Skipped, ...]:
        """All reasons with their numbers and examples."""
        return tuple(
            Skipped(reason=reason, count=count, examples=tuple(self._examples[reason]))
            for reason, count in self._counts.items()
        )


def readable(name: str) -> str:
    """Return a file's name as text that can be stored and printed, also where it is not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def inner_folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, also linked ones, in the order of their names; hidden ones are left out."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not is_hidden(path.name))
    except OSError as error:
        raise DataError(
            f"the folder of pictures {str(folder)!r} cannot be read ({error.strerror or error})."
        ) from error


def note_others(root: Path, folder: Path, skips: Skips) -> int:
    """Note what lies beside the folders in a folder; return the number of pictures among it."""
    pictures = 0
    for path in sorted(folder.iterdir()):
        name = path.relative_to(root).as_posix()
        if is_hidden(path.name):
            skips.add(_HIDDEN, name)
        elif path.is_file():
            reason = why_unreadable(path.suffix.lower())
            pictures += reason is None
            skips.add(reason or _OUTSIDE, name)
        elif not path.is_dir():
            skips.add(_BROKEN, name)
    return pictures


def note_folder(root: Path, folder: Path, skips: Skips) -> None:
    """Note a folder of what belongs to pictures."""
    skips.add(_BESIDE, folder.relative_to(root).as_posix())


def holds_a_picture(folder: Path) -> bool:
    """Tell whether a picture lies in a folder or below it."""
    return next(_walk(str(folder), "", Skips(), (os.path.realpath(folder),)), None) is not None


def pictures_in(root: Path, folder: Path, skips: Skips) -> list[str]:
    """Return the names of all pictures in a folder and below it, within `root`, in order; links are followed."""
    names = _walk(str(folder), folder.relative_to(root).as_posix(), skips, (os.path.realpath(folder),))
    return sorted(names, key=lambda name: name.split("/"))


def _walk(folder: str, prefix: str, skips: Skips, trail: tuple[str, ...]) -> Iterator[str]:
    """Find the pictures in a folder. Paths are strings from `os.scandir`, because there may be a million pictures.

    Args:
        folder: the folder.
        prefix: its name within the folder of pictures.
        skips: takes what is skipped.
        trail: the real paths of the folder that the walk began in and of the links on the way, against circles.
    """
    try:
        with os.scandir(folder) as scanned:
            entries = list(scanned)
    except OSError as error:
        raise _closed(folder, error) from error
    beside = any(holds_all_pictures(entry.name) and entry.is_dir() for entry in entries)
    for entry in entries:
        name = f"{prefix}/{entry.name}"
        if is_hidden(entry.name):
            skips.add(_HIDDEN, name)
        elif entry.is_dir():
            if beside and holds_no_pictures(entry.name):
                skips.add(_BESIDE, name)
            elif not entry.is_symlink():
                yield from _walk(entry.path, name, skips, trail)
            elif _is_circle(real := os.path.realpath(entry.path), folder, trail):
                skips.add(_CIRCLES, name)
            else:
                yield from _walk(entry.path, name, skips, (*trail, real))
        elif not entry.is_file():
            skips.add(_BROKEN, name)
        elif reason := why_unreadable(os.path.splitext(entry.name)[1].lower()):
            skips.add(reason, name)
        else:
            yield name


def _closed(folder: str, error: OSError) -> DataError:
    return DataError(
        f"the folder of pictures {folder!r} cannot be read ({error.strerror or error}); make it readable, or remove it."
    )


def _is_circle(real: str, folder: str, trail: tuple[str, ...]) -> bool:
    return real in trail or f"{os.path.realpath(folder)}/".startswith(f"{real}/")
