"""Appends decoded pictures to the files of an unfinished entry."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.datasets.decoded.entry import Task, write_about
from trainables.pictures import IMAGES_FILE, RECORDS_FILE

_KEPT_EVERY = 2**26  # bytes of decoded pictures between two syncs to the disk


class Part(NamedTuple):
    """Consecutive decoded pictures."""

    images: npt.NDArray[np.uint8]
    """[n, K, size, size]"""
    records: npt.NDArray[np.void]
    """[n]; all zero for a picture that cannot be read."""
    unreadable: dict[int, str]
    """The places of the pictures that cannot be read, and why."""


class Appender:
    """Appends to the two files of an unfinished entry. Pictures with a record are on the disk, also after a power cut.

    Both files begin with the header of the finished file, so that they are sound when all is written.
    """

    def __init__(self, part: Path, task: Task) -> None:
        part.mkdir(exist_ok=True)
        write_about(part, task, {})
        self._images = _open(part / IMAGES_FILE, np.dtype(np.uint8), task.images_shape)
        self._records = _open(part / RECORDS_FILE, task.record_type, task.images_shape[:1])
        self._type = task.record_type
        self._picture_bytes = task.picture_bytes
        self._pending: list[bytes] = []
        self._unsafe = 0
        self.count = self._rewind()

    def __enter__(self) -> Appender:
        return self

    def __exit__(self, *problem: object) -> None:
        """Keep what was decoded, also after an error or an interruption."""
        try:
            self._make_safe()
        finally:
            self._images.file.close()
            self._records.file.close()

    def append(self, decoded: Part) -> None:
        """Add pictures after the last; now and then, sync them to the disk."""
        self._images.file.write(decoded.images.data)
        self._pending.append(decoded.records.tobytes())
        self.count += len(decoded.records)
        self._unsafe += decoded.images.nbytes
        if self._unsafe >= _KEPT_EVERY:
            self._make_safe()

    def _make_safe(self) -> None:
        """Sync both files to the disk, records last: a record says that its picture is there."""
        _sync(self._images.file)
        self._records.file.write(b"".join(self._pending))
        _sync(self._records.file)
        self._pending, self._unsafe = [], 0

    def _rewind(self) -> int:
        """Cut both files after the last sound picture; return the number of sound pictures."""
        images, records = self._images, self._records
        records.file.seek(records.begin)
        known = records.file.read()
        known_records = np.frombuffer(known, self._type, count=len(known) // self._type.itemsize)
        read = known_records["source"] != np.zeros(1, "V16")
        count = min(int(read.argmin()) if not read.all() else len(read), images.length // self._picture_bytes)
        images.cut(count * self._picture_bytes)
        records.cut(count * self._type.itemsize)
        return count


class _Growing(NamedTuple):
    """An `.npy` file that is being written."""

    file: BinaryIO
    begin: int
    """The length of its header in bytes."""

    @property
    def length(self) -> int:
        return os.fstat(self.file.fileno()).st_size - self.begin

    def cut(self, length: int) -> None:
        self.file.truncate(self.begin + length)
        self.file.seek(self.begin + length)


def _open(path: Path, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> _Growing:
    """Open a file for writing and write its header; contents that are there already stay."""
    path.touch()
    file = path.open("r+b")
    content = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(file, content)
    file.flush()
    return _Growing(file, file.tell())


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
