"""The IDX format of MNIST and its successors, plain or gzipped.

A file is two zero bytes, a type code, the number of dimensions, each dimension as a big-endian 32-bit integer, then the
values. Only unsigned bytes (code 8) are read. Source: http://yann.lecun.com/exdb/mnist/
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.errors import DataError

_UNSIGNED_BYTE = 8


def read_idx(path: Path, dimensions: int) -> npt.NDArray[np.uint8]:
    """Read the array in `path`; it is read-only.

    Raises:
        DataError: the file cannot be read, is damaged or cut short, or has another number of dimensions.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise _damaged(path, f"cannot be read ({error})") from error
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes((0, 0, _UNSIGNED_BYTE, dimensions)):
        raise _damaged(path, f"is not an IDX file of bytes with {dimensions} dimensions")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise _damaged(path, f"must hold {math.prod(shape)} values, but holds {len(content) - header}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{str(path)!r} {what}; remove it and get the data set again.")
