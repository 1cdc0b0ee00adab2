"""An entry of the cache of decoded pictures: what it depends on, what it holds, and whether it is whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.datasets.decoded.deep_pictures import FULL_DEPTH
from trainables.errors import DataError
from trainables.pictures import IMAGES_FILE, RECORDS_FILE, map_array, record_type

_FORMAT = 2  # version of entries and of the decoding; part of the entries' names
_ABOUT_FILE = "about.json"


class Task(NamedTuple):
    """The pictures of an entry, and the form in which they are decoded."""

    names: Sequence[str]
    sources: npt.NDArray[np.void]
    """The files' identities, 16 bytes each, [N]."""
    root: Path
    size: int
    channels: int
    depth: int = FULL_DEPTH
    """The bits that are used of pictures of 16 bits a channel."""
    deep: frozenset[int] = frozenset()
    """The places of these pictures."""

    @property
    def picture_bytes(self) -> int:
        """The bytes of one decoded picture."""
        return self.channels * self.size**2

    @property
    def record_type(self) -> np.dtype[np.void]:
        """The type of a picture's record."""
        return record_type(self.channels)

    @property
    def images_shape(self) -> tuple[int, int, int, int]:
        """[N, K, size, size]."""
        return len(self.names), self.channels, self.size, self.size

    @property
    def form(self) -> str:
        """The part of the name that is the same in all entries that pictures can be copied from."""
        return f"{self.size}x{self.size}x{self.channels}"

    @property
    def name(self) -> str:
        """The entry's name."""
        digest = hashlib.sha256(f"{_FORMAT} {self.size} {self.channels} ".encode() + self.sources.tobytes())
        return f"{self.root.name[:80]}-{self.form}-{digest.hexdigest()[:32]}"


def identities(names: Sequence[str], root: Path) -> npt.NDArray[np.void]:
    """Return the identity of each file, a digest of its name, size and time: 16 bytes each, [N]."""
    folder = str(root)
    digests = bytearray()
    for name in names:
        try:
            status = os.stat(f"{folder}/{name}")
        except OSError as error:
            raise DataError(f"the picture {f'{folder}/{name}'!r} cannot be read ({error.strerror}).") from error
        text = f"{name}\0{status.st_size}\0{status.st_mtime_ns}".encode("utf-8", "surrogateescape")
        digests += hashlib.blake2b(text, digest_size=16).digest()
    return np.frombuffer(bytes(digests), dtype="V16")


class About(NamedTuple):
    """The facts that an entry keeps about its pictures."""

    unreadable: dict[int, str]
    """The places of the files that cannot be decoded, and why."""
    depth: int
    """The bits that are used of pictures of 16 bits a channel."""
    deep: int
    """The number of these pictures."""


def read_about(folder: Path) -> About:
    """Read an entry's facts. Raises OSError, ValueError or KeyError if they are not those of this release."""
    about = json.loads((folder / _ABOUT_FILE).read_text(encoding="utf-8"))
    if about["format"] != _FORMAT:
        raise ValueError("it has another version")
    unreadable = {int(place): reason for place, reason in about.get("unreadable", {}).items()}
    return About(unreadable, about["depth"], about["deep"])


def write_about(folder: Path, task: Task, unreadable: dict[int, str]) -> None:
    """Write an entry's facts."""
    about = {
        "format": _FORMAT,
        "root": str(task.root),
        "pictures": len(task.names),
        "form": task.form,
        "depth": task.depth,
        "deep": len(task.deep),
        "unreadable": unreadable,
    }
    (folder / _ABOUT_FILE).write_text(json.dumps(about, indent=2), encoding="utf-8")


class Kept(NamedTuple):
    """The mapped contents of a folder of the cache; of an unfinished entry, the pictures that have a record."""

    images: npt.NDArray[np.uint8]
    records: npt.NDArray[np.void]
    about: About


def map_entry(folder: Path, task: Task) -> Kept:
    """Map a folder of the cache. Raises OSError, ValueError or KeyError if it is not sound or of another form."""
    about = read_about(folder)
    images = map_array(str(folder / IMAGES_FILE), np.dtype(np.uint8)).array
    records = map_array(str(folder / RECORDS_FILE), task.record_type).array
    if images.shape[1:] != task.images_shape[1:]:
        raise ValueError(f"its pictures are {images.shape[1:]}")
    count = min(len(images), len(records))
    return Kept(images[:count], records[:count], about)


def digest_of(image: npt.NDArray[np.uint8]) -> bytes:
    """Return the digest of a picture's pixels, 16 bytes."""
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
