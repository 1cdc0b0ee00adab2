"""Pictures that stay in a file and are read when they are asked for. Importing this loads no torch.

N: pictures; K: channels; H, W: height and width in pixels.
"""

from __future__ import annotations

import functools
import math
import mmap
import os
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from trainables.errors import DataError

IMAGES_FILE = "images.npy"
"""The pictures, uint8 [N, K, H, W]."""
RECORDS_FILE = "records.npy"
"""The record of each picture, in the same order; see `record_type`."""

Indices = npt.NDArray[np.int64]


def record_type(channels: int) -> np.dtype[np.void]:
    """Return the type of a picture's record, with which a set's fingerprint and statistics need no pixels.

    `source`: a digest of the file's name, size and time. `digest`: BLAKE2b, 16 bytes, of the pixels. `sums`, [K, 2]:
    the sums of each channel's pixels and of their squares.
    """
    return np.dtype([("source", "V16"), ("digest", "V16"), ("sums", "<i8", (channels, 2))])


class MappedImages:
    """Some pictures of a decoded folder, in any order. They are read like an array, but do not take its memory.

    Reads come from the system's page cache. All processes of a machine share it, and it shrinks when memory is short.
    Only the pictures asked for are copied. An object is sent to another process as a path and row numbers.

    Args:
        folder: holds the two files named above; every process that reads must see it.
        rows: int64 [N], places in the file.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, folder: str, rows: Indices) -> None:
        self.folder = folder
        self.rows = rows

    def __reduce__(self) -> tuple[type[MappedImages], tuple[str, Indices]]:
        return MappedImages, (self.folder, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, K, H, W)."""
        return len(self.rows), *self._file.array.shape[1:]

    @property
    def nbytes(self) -> int:
        """The bytes that the pictures would take in memory."""
        return math.prod(self.shape)

    def __getitem__(self, places: slice | Indices) -> npt.NDArray[np.uint8]:
        """Read the pictures at `places` into a new array, [.., K, H, W]."""
        rows = self.rows[places]
        self._file.announce(rows)
        return self._file.array[rows]

    def read_into(self, target: npt.NDArray[np.uint8], places: Indices) -> None:
        """Read the pictures at `places` into an existing array."""
        rows = self.rows[places]
        self._file.announce(rows)
        np.take(self._file.array, rows, axis=0, out=target, mode="clip")  # "raise" would copy once more

    def select(self, places: Indices) -> MappedImages:
        """Select the pictures at `places` without reading them."""
        return MappedImages(self.folder, self.rows[places])

    def records(self) -> npt.NDArray[np.void]:
        """Return the record of each picture, [N]; see `record_type`."""
        path = os.path.join(self.folder, RECORDS_FILE)
        records: npt.NDArray[np.void] = map_array(path, record_type(self.shape[1])).array[self.rows]
        return records

    @functools.cached_property
    def _file(self) -> MappedArray:
        path = os.path.join(self.folder, IMAGES_FILE)
        try:
            return map_array(path, self.dtype)
        except (OSError, ValueError) as error:
            raise DataError(
                f"the decoded pictures in {path!r} cannot be read here ({error}). Every process must see them, on every"
                " node of a cluster: name a shared folder with --data-root or KD_SEARCH_DATA. If they were deleted,"
                " resume the search, which decodes them again."
            ) from error


class MappedArray(NamedTuple):
    """An array in a file, mapped to be read only."""

    array: npt.NDArray[Any]
    mapping: mmap.mmap
    begin: int
    """The offset of the array in the mapping, in bytes."""

    def announce(self, rows: Indices) -> None:
        """Ask the system to read all of `rows` at once; otherwise each is read in turn, page by page."""
        if len(rows) == 0:
            return
        size = self.array[0].nbytes
        ends = np.append(np.flatnonzero(np.diff(rows) != 1), len(rows) - 1)  # of runs of neighbours
        begins = np.append(0, ends[:-1] + 1)
        for first, last in zip(rows[begins].tolist(), rows[ends].tolist(), strict=True):
            start = self.begin + first * size
            page = start - start % mmap.PAGESIZE
            self.mapping.madvise(mmap.MADV_WILLNEED, page, self.begin + (last + 1) * size - page)


def map_array(path: str, dtype: np.dtype[Any]) -> MappedArray:
    """Map the array in an `.npy` file; of a file that is being written, only the rows that are there.

    Raises:
        OSError, ValueError: there is no such file, or it holds something else.
    """
    with open(path, "rb") as file:
        if np.lib.format.read_magic(file) != (2, 0):
            raise ValueError("it is of another format")
        shape, _, found = np.lib.format.read_array_header_2_0(file)
        begin = file.tell()
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if found != dtype:
        raise ValueError(f"it holds {found} instead of {dtype}")
    # Batches are drawn at random, so reading ahead would read several times what is needed.
    mapping.madvise(mmap.MADV_RANDOM)
    row = math.prod(shape[1:])
    count = min(shape[0], (len(mapping) - begin) // (row * dtype.itemsize))
    array = np.frombuffer(mapping, dtype, count=count * row, offset=begin)
    return MappedArray(array.reshape(count, *shape[1:]), mapping, begin)
