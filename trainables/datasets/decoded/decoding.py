"""Decodes a picture's file to pixels of 8 bits.

A file is decoded alike whatever its kind: upright as its EXIF orientation says, on white where it is transparent, and
from 16 bits a channel by the depth that the pictures of its folder use.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from trainables.datasets.decoded.deep_pictures import FULL_DEPTH, deep_pixels, to_bytes
from trainables.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

_UNREADABLE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
"""Errors that Pillow raises for a damaged file; which one depends on the byte that is wrong."""
_DAMAGED_EXIF = (*_UNREADABLE, KeyError, TypeError, AttributeError)
_HEAD = 64  # bytes that show what a file is that is no picture


def decode(path: str, size: int, channels: int, depth: int = FULL_DEPTH) -> npt.NDArray[np.uint8]:
    """Decode one picture to [K, size, size]: scale its shorter side to `size`, then cut out the middle.

    Args:
        path: the file.
        size: height and width.
        channels: K, 1 or 3.
        depth: bits that hold the values of a picture of 16 bits a channel.

    Raises:
        DataError: the file is no readable picture; the message is the reason in a few words.
    """
    from PIL import Image, ImageOps

    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(path) as picture:
            picture.draft(mode, (size, size))  # lets a JPEG be decoded at a fraction of its size
            flat = _opaque(_upright(_of_eight_bits(picture, path, depth)))
            square = ImageOps.fit(flat.convert(mode), (size, size), method=Image.Resampling.BILINEAR)
            pixels: npt.NDArray[np.uint8] = np.asarray(square, dtype=np.uint8)
    except (*_UNREADABLE, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(_reason(path, error)) from error
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _upright(picture: Image) -> Image:
    """Turn a picture as its EXIF orientation says; a damaged EXIF part is ignored."""
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(picture)
    except _DAMAGED_EXIF:
        picture.load()  # raises where the pixels are damaged, too
        return picture


def _of_eight_bits(picture: Image, path: str, depth: int) -> Image:
    from PIL import Image

    deep = deep_pixels(picture, path)
    if deep is not None:
        scaled = Image.fromarray(to_bytes(deep, depth))
        scaled.info["exif"] = picture.info.get("exif", b"")
        return scaled
    if picture.mode in ("I", "F"):
        raise DataError("it has 32 bits a pixel, but 8 or 16 are read; convert it")
    return picture.convert("RGB") if picture.mode == "LAB" else picture


def _opaque(picture: Image) -> Image:
    """Lay a transparent picture on white, since the colours under transparency are arbitrary."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture
    coloured = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", coloured.size, "white"), coloured)


def _reason(path: str, error: Exception) -> str:
    """Say in a few words why a file cannot be decoded."""
    from PIL import UnidentifiedImageError

    if not isinstance(error, UnidentifiedImageError):
        return str(error).splitlines()[0] if str(error) else type(error).__name__
    with open(path, "rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "the file is empty"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS; run `git lfs pull`"
    if head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"mif1", b"msf1"):
        return "it is in the format HEIC; pip install pillow-heif"
    if head.lstrip().startswith((b"<", b"{")):
        return "it is a text, such as a web page, and no picture"
    return f"it is no picture that Pillow knows ({os.path.getsize(path):,} bytes)"
