"""Normalises stored pictures to the input of a network.

B: pictures of a batch; K: channels; H, W: height and width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def normalise(images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return (images - mean) / std by channel, float32.

    Args:
        images: uint8 [B, K, H, W].
        mean: float32 [K], in stored units (0..255), on the device of `images`.
        std: likewise.
    """
    return (images.float() - mean[:, None, None]) / std[:, None, None]


def as_tensor(array: npt.NDArray[Any]) -> Tensor:
    """Return a tensor over the memory of `array`, without a copy, even if it is read-only as in Ray's object store.

    torch has no read-only tensors and warns about such arrays; this function does not warn. Never write to the tensor:
    a write to memory that Ray maps read-only ends the process. The array is copied only where torch cannot express its
    strides (a reversed axis).
    """
    if array.flags.writeable:
        return torch.from_numpy(array if _has_plain_strides(array) else array.copy())
    return torch.from_numpy(np.asarray(_Writable(array if _has_plain_strides(array) else array.copy())))


class _Writable:
    """Claims that an array may be written to. NumPy keeps this object alive, and with it the array."""

    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def _has_plain_strides(array: npt.NDArray[Any]) -> bool:
    return all(stride >= 0 for stride in array.strides)
