"""One student's result on each sample of a set, packed for a record. Imports no torch."""

from __future__ import annotations

import base64
import functools
import zlib
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from trainables.settings import Settings


class SampleValues(Settings):
    """One number a sample, in the set's order: for accuracy 1 where the student is right, else 0.

    10,000 samples take about 1.6 kB as bits and at most 54 kB as numbers.
    """

    kind: Literal["bits", "float32"]
    count: int
    packed: str
    """The values, compressed by zlib and written as base64: bits eight to a byte, or little-endian float32."""

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> SampleValues:
        """Pack values, [N]; numbers are kept as float32, truth values exactly."""
        raw = np.packbits(values).tobytes() if values.dtype == np.bool_ else values.astype("<f4").tobytes()
        packed = base64.b64encode(zlib.compress(raw, 9)).decode("ascii")
        return cls(kind="bits" if values.dtype == np.bool_ else "float32", count=len(values), packed=packed)

    def values(self) -> npt.NDArray[np.float32]:
        """The values, float32 [N], read-only.

        Raises:
            ValueError: the packed text is damaged.
        """
        return _unpacked(self.kind, self.count, self.packed)


@functools.lru_cache(maxsize=4096)
def _unpacked(kind: str, count: int, packed: str) -> npt.NDArray[np.float32]:
    try:
        raw = np.frombuffer(zlib.decompress(base64.b64decode(packed)), np.uint8 if kind == "bits" else "<f4")
    except (ValueError, zlib.error) as error:
        raise ValueError(f"results on {count} samples are damaged: {error}") from error
    values = np.unpackbits(raw, count=count).astype(np.float32) if kind == "bits" else raw.astype(np.float32)
    if len(values) != count:
        raise ValueError(f"results on {count} samples must hold as many, but hold {len(values)}")
    values.flags.writeable = False
    return values
