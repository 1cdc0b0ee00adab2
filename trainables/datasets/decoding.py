"""Decodes a picture's file to pixels."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import numpy.typing as npt

from trainables.errors import DataError

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
"""Errors that Pillow raises for a damaged file; which one depends on the byte that is wrong."""


def decode(path: str, size: int, channels: int) -> npt.NDArray[np.uint8]:
    """Decode one picture to [K, size, size]: scale its shorter side to `size`, then cut out the middle.

    Raises:
        DataError: the file is no readable picture.
    """
    from PIL import Image, ImageOps

    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(path) as picture:
            picture.draft(mode, (size, size))  # lets a JPEG be decoded at a fraction of its size
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            elif upright.mode in ("I", "F"):
                raise DataError(f"{path!r} has 32 bits a pixel, but 8 or 16 are read; convert it.")
            elif "transparency" in upright.info:
                upright = upright.convert("RGBA")
            square = ImageOps.fit(upright.convert(mode), (size, size), method=Image.Resampling.BILINEAR)
            pixels: npt.NDArray[np.uint8] = np.asarray(square, dtype=np.uint8)
    except (*_UNREADABLE, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"the picture {path!r} cannot be read ({error}); replace it or remove it.") from error
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
