"""Reads pictures of 16 bits a channel, and finds how many of the bits a folder's pictures use.

Cameras and scanners write 8, 10, 12 or 14 bits into files of 16. Taking the upper byte would leave almost nothing of
them. The depth is one for all pictures of a folder, so that a dark picture stays darker than a bright one.

H, W: height and width; K: channels, with a last one for transparency where the file has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from PIL.Image import Image

FULL_DEPTH = 16
_DEPTHS = (8, 10, 12, 14, FULL_DEPTH)
_PNG_BITS = 24  # the place of the bits a channel in a PNG file
_OTHERS = (".tif", ".tiff", ".pgm", ".pnm", ".jp2", ".j2k")
"""Suffixes, other than PNG's, of formats that Pillow reads with 16 bits a channel."""
_LOWER = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}
"""Pillow's names of the bytes of a PNG file with 16 bits a channel, and those that show the lower bytes."""
_TRANSPARENT = (2, 4)  # channels of a picture whose last one is its transparency


def deep_pixels(picture: Image, path: str) -> npt.NDArray[np.uint16] | None:
    """Return the pixels of a picture of 16 bits a channel, [H, W] or [H, W, K]; None if it has fewer.

    Args:
        picture: opened by Pillow.
        path: its file, which is read again if Pillow itself would drop the lower bytes.
    """
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        return np.asarray(picture).astype(np.uint16)
    raw = str(picture.tile[0][3]) if picture.format == "PNG" and picture.tile else ""  # type: ignore[attr-defined]
    if raw not in _LOWER:
        return None
    # Pillow keeps the upper byte of each channel; read as if the bytes came in the other order, it keeps the lower one.
    lower = _read_as(path, _LOWER[raw])
    if raw == "LA;16B":
        return lower[..., ::2] * np.uint16(256) + lower[..., 1::2]
    return np.asarray(picture) * np.uint16(256) + lower


def _read_as(path: str, raw: str) -> npt.NDArray[np.uint16]:
    """Read a PNG file with its bytes in another order, as Pillow names it."""
    from PIL import Image

    with Image.open(path) as picture:
        picture.tile = [tile._replace(args=raw) for tile in picture.tile]
        return np.asarray(picture).astype(np.uint16)


def to_bytes(pixels: npt.NDArray[np.uint16], depth: int) -> npt.NDArray[np.uint8]:
    """Scale pixels that use `depth` of 16 bits to 8; transparency always uses all 16."""
    colours = np.minimum(pixels >> (depth - 8), 255)
    if pixels.ndim == 3 and pixels.shape[2] in _TRANSPARENT:
        colours[..., -1] = pixels[..., -1] >> 8
    small: npt.NDArray[np.uint8] = colours.astype(np.uint8)
    return small


def deep_among(paths: Iterable[str]) -> list[int]:
    """Return the places of the pictures of 16 bits a channel; only the files' heads are read."""
    return [place for place, path in enumerate(paths) if _is_deep(path)]


def depth_of(paths: Sequence[str], pool: Executor) -> int:
    """Return how many bits hold the values of pictures of 16 bits a channel: 8, 10, 12, 14 or 16.

    Args:
        paths: the files; those that cannot be read are ignored.
        pool: reads several at a time.
    """
    largest = max(pool.map(_largest, paths), default=0)
    return next(depth for depth in _DEPTHS if largest < 2**depth)


def _is_deep(path: str) -> bool:
    name = path.lower()
    if name.endswith(".png"):
        try:
            with open(path, "rb") as file:
                head = file.read(_PNG_BITS + 1)
        except OSError:
            return False
        return len(head) > _PNG_BITS and head[_PNG_BITS] == FULL_DEPTH
    return name.endswith(_OTHERS) and bool(_opened(path, lambda picture: picture.mode.startswith("I")))


def _largest(path: str) -> int:
    pixels = _opened(path, lambda picture: deep_pixels(picture, path))
    if pixels is None:
        return 0
    return int((pixels[..., :-1] if pixels.ndim == 3 and pixels.shape[2] in _TRANSPARENT else pixels).max())


def _opened(path: str, look: Callable[[Image], Any]) -> Any:
    """Return what `look` finds in a picture, or None if it cannot be read, which decoding will report."""
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return look(picture)
    except Exception:  # Pillow raises many kinds
        return None
