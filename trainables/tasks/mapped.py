"""Rows of an array that stays in its file, so that all processes of a machine share the system's copy of it.

N: rows that are used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

_Array = npt.NDArray[Any]
_KEPT = (np.float32, np.float16, np.int64, np.uint8)
"""The types that need no conversion. Others are read into memory, as they must be converted."""
_CHUNK = 4096


class MappedRows:
    """Some rows of a memory-mapped array, in any order. It is sent to another process as a path and row numbers.

    Args:
        path: the file; every process that reads must see it.
        dtype: of the array.
        shape: of the whole array.
        offset: bytes before it in the file.
        rows: int64 [N], the rows that are used.
    """

    def __init__(self, path: str, dtype: str, shape: tuple[int, ...], offset: int, rows: npt.NDArray[np.int64]) -> None:
        self.path, self.offset, self.rows, self._whole = path, offset, rows, shape
        self.dtype = np.dtype(dtype)
        self.shape = (len(rows), *shape[1:])
        self._array: _Array = np.memmap(path, self.dtype, "r", offset, shape)

    @classmethod
    def of(cls, array: Any) -> Self | None:
        """Return all rows of an array from `numpy.load(..., mmap_mode="r")`, or of a slice; None for any other array.

        Arrays of other types than float32, float16, int64 and uint8 count as others, and so do slices with a step.
        """
        if isinstance(array, cls):
            return array
        is_map = isinstance(array, np.memmap) and array.filename is not None
        if not is_map or not array.flags.c_contiguous or array.dtype not in _KEPT or array.ndim == 0:
            return None
        root = array
        while isinstance(root.base, np.memmap):
            root = root.base
        # A slice has the offset of its whole in the file.
        offset = root.offset + array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        return cls(str(array.filename), array.dtype.str, array.shape, offset, np.arange(len(array)))

    def __reduce__(self) -> tuple[type[MappedRows], tuple[Any, ...]]:
        return MappedRows, (self.path, self.dtype.str, self._whole, self.offset, self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    def __getitem__(self, places: Any) -> _Array:
        """Read rows into memory: a number, a slice or an array of numbers."""
        return np.asarray(self._array[self.rows[places]])

    def taken(self, places: npt.NDArray[np.int64]) -> MappedRows:
        """Return some of these rows, without reading them."""
        return MappedRows(self.path, self.dtype.str, self._whole, self.offset, self.rows[places])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> _Array:
        return self[:] if dtype is None else self[:].astype(dtype)

    def chunks(self) -> Iterator[_Array]:
        """Read all rows, some thousands at a time."""
        for start in range(0, len(self), _CHUNK):
            yield self[start : start + _CHUNK]


def chunks_of(leaf: _Array | MappedRows) -> Iterator[_Array]:
    """Yield the rows of a leaf in parts; an array in memory is one part."""
    yield from leaf.chunks() if isinstance(leaf, MappedRows) else (leaf,)
