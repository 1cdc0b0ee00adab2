"""Defines what every source of pictures provides: a cheap look at what is there, and the pictures themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeAlias

from trainables.config import DataSettings
from trainables.pictures import Inventory, Split

Progress: TypeAlias = Callable[[str], None]
"""A function that is called with one line of text when something slow begins or advances."""


class Places(NamedTuple):
    """The folder of files and downloads, and the folder of decoded pictures."""

    root: Path
    decoded: Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counts:
    """The numbers of a source's classes and pictures. `validation` and `test` are None if it has no such set.

    `default_test_size` pictures are split off the training pictures for testing where `test` is None and the user
    gives no size.
    """

    classes: int
    training: int
    validation: int | None = None
    test: int | None = None
    default_test_size: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pictures:
    """A source's pictures as it keeps them, before the project's own splits."""

    classes: tuple[str, ...]
    training: Split
    validation: Split | None = None
    test: Split | None = None
    default_test_size: int = 0
    inventory: Inventory | None = None
    """The used and skipped files of a user's folder; pictures are not counted yet."""

    @property
    def counts(self) -> Counts:
        """The sizes of these sets."""
        return Counts(
            classes=len(self.classes),
            training=len(self.training),
            validation=None if self.validation is None else len(self.validation),
            test=None if self.test is None else len(self.test),
            default_test_size=self.default_test_size,
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """One source of pictures.

    `look(settings, places)` returns the sizes, and raises DataError for faults that show without decoding a picture.
    `read(settings, places, progress)` reads the pictures, and downloads them where the settings allow it.
    """

    look: Callable[[DataSettings, Places], Counts]
    read: Callable[[DataSettings, Places, Progress], Pictures]
