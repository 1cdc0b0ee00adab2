"""Turns a user's pictures into those that are stored, or says why they cannot be.

N: pictures; K: channels; H, W: height and width.

A picture is stored as uint8. The rule is the same for arrays, tensors and pictures of Pillow:

- whole numbers must lie in 0..255;
- floating-point numbers must lie in [0, 1], and are multiplied by 255 and rounded;
- Pillow's pictures become grey (modes L and 1) or RGB (all others of 8 bits a channel).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.errors import DataError

LAYOUTS = ("NHW", "NHWK", "NKHW")
"""The orders of axes; N is left out of a single picture."""
_MOST_CHANNELS = 4  # a last or second axis of at most so many is taken for the channels
_DEEP = ("I", "F")
_GREY = ("L", "1")


def as_pictures(given: Any, layout: str | None = None) -> npt.NDArray[np.uint8]:
    """Return pictures as they are stored, uint8 [N, K, H, W].

    Args:
        given: an array or a tensor, or a list of arrays, tensors or Pillow's pictures of one shape.
        layout: one of `LAYOUTS`; None to find out.

    Raises:
        DataError: they are of different shapes, their numbers are outside the range, or the layout is in doubt.
    """
    array = _stacked(given) if isinstance(given, list) else _as_array(given)
    return np.ascontiguousarray(_channels_first(_as_bytes(array), layout))


def _stacked(given: list[Any]) -> npt.NDArray[Any]:
    if not given:
        raise DataError("there is no picture; return at least one of each class.")
    arrays = [_as_array(picture) for picture in given]
    shapes = {(array.shape, array.dtype) for array in arrays}
    if len(shapes) > 1:
        told = " and ".join(f"{dtype} {'×'.join(map(str, shape))}" for shape, dtype in sorted(shapes, key=str)[:2])
        raise DataError(f"all pictures must have one shape and type, but there are {told}; resize or convert them.")
    return np.stack(arrays)


def _as_array(picture: Any) -> npt.NDArray[Any]:
    if hasattr(picture, "detach"):
        picture = picture.detach().cpu().numpy()
    mode = getattr(picture, "mode", None)
    if isinstance(mode, str) and hasattr(picture, "convert"):  # Pillow's
        if mode.startswith(_DEEP):
            raise DataError(f"a picture has mode {mode!r}, more than 8 bits a channel; scale it to 0..255 first.")
        picture = picture.convert("L" if mode in _GREY else "RGB")
    return np.asarray(picture)


def _as_bytes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind not in "iuf" or array.size == 0:
        raise DataError(f"pictures must be numbers, but are {array.dtype} of shape {array.shape}.")
    low, high = array.min(), array.max()
    if array.dtype.kind == "f":
        if not (low >= 0 and high <= 1):  # also true for NaN
            raise DataError(
                f"floating-point pictures must lie in [0, 1], but these lie in {low:.3g} to {high:.3g}; divide by the"
                " largest possible value, and leave normalising to the search."
            )
        return np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    if low < 0 or high > 255:
        raise DataError(f"pictures of whole numbers must lie in 0..255, but these lie in {low}..{high}; scale them.")
    return array.astype(np.uint8)


def _channels_first(array: npt.NDArray[np.uint8], layout: str | None) -> npt.NDArray[np.uint8]:
    if layout is not None and array.ndim != len(layout):
        raise DataError(f"pictures of layout {layout} have {len(layout)} axes, but these have shape {array.shape}.")
    if array.ndim == 3:
        return array[:, None]
    if array.ndim != 4:
        raise DataError(
            f"pictures must be [N, height, width], [N, height, width, channels] or [N, channels, height, width], but"
            f" have shape {array.shape}."
        )
    if layout is None:
        first, last = array.shape[1] <= _MOST_CHANNELS, array.shape[3] <= _MOST_CHANNELS
        if first == last:
            raise DataError(
                f"it is not clear which axis of pictures of shape {array.shape} holds the channels; say so in the dict"
                ' that the function returns: "layout": "NKHW" or "NHWK".'
            )
        layout = "NKHW" if first else "NHWK"
    return array if layout == "NKHW" else array.transpose(0, 3, 1, 2)
