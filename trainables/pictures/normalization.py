"""From stored pictures to what a network reads.

B: pictures of a batch; K: channels; H, W: height and width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """(images - mean) / std by channel, float32.

    Args:
        images: uint8 [B, K, H, W].
        mean: float32 [K], in stored units (0..255), on the device of `images`.
        std: likewise.
    """
    return (images.float() - mean[:, None, None]) / std[:, None, None]


def as_tensor(array: npt.NDArray[Any]) -> Tensor:
    """A tensor over the memory of `array`: no copy, also where the array is read-only, as from Ray's object store.

    torch has no read-only tensors and warns about such arrays; this does not. Never write to the tensor: memory that
    Ray maps read-only ends the process. Copied only where torch cannot express the strides (a reversed axis).
    """
    if array.flags.writeable:
        return torch.from_numpy(array if _has_plain_strides(array) else array.copy())
    return torch.from_numpy(np.asarray(_Writable(array if _has_plain_strides(array) else array.copy())))


class _Writable:
    """Claims that an array may be written to. NumPy keeps this object, and by it the array, alive."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def _has_plain_strides(array: npt.NDArray[Any]) -> bool:
    return all(stride >= 0 for stride in array.strides)
