"""Seeded views of the training pictures.

Picture i has a fixed number of views, each a flip and a shift drawn from (seed, view, i) alone. Therefore a teacher's
outputs can be computed once for every view, and trials see the same pictures.

B: pictures of a batch; K: channels; H, W: height and width; P: padding.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from trainables.config import AugmentationSettings

_FLIP, _SHIFT = range(2)


class PictureViews(Protocol):
    """The views of one set of pictures: flips and shifts, or those of a user's function."""

    @property
    def views(self) -> int:
        """The number of views of each picture."""
        ...

    def apply(self, images: Tensor, indices: Tensor, view: int) -> Tensor:
        """Return view `view` of pictures; see `Augmentation.apply`."""
        ...


class Augmentation:
    """The views of one set of pictures.

    Args:
        settings: which views.
        count: pictures in the set.
        mean: float [K], the channels' means in stored units. Pixels that a shift moves in from outside have this
            colour, which is zero after normalising.
        device: where `apply` will run.
    """

    def __init__(
        self,
        settings: AugmentationSettings,
        count: int,
        *,
        mean: npt.NDArray[np.floating[Any]],
        device: torch.device | str = "cpu",
    ) -> None:
        self._padding = settings.crop_padding
        self._active = settings.active
        self.views = settings.views if settings.active else 1
        """The number of views of each picture."""
        if not self._active:
            return
        # Drawn by NumPy on the CPU, so that every device sees the same views.
        flips = np.stack([_draw(settings.seed, view, _FLIP, 2, (count,)) for view in range(self.views)])
        if not settings.flip:
            flips[:] = 0
        span = 2 * settings.crop_padding + 1
        shifts = np.stack([_draw(settings.seed, view, _SHIFT, span, (count, 2)) for view in range(self.views)])
        self._flips = torch.from_numpy(flips.astype(np.bool_)).to(device)  # [views, count]
        self._shifts = torch.from_numpy(shifts.astype(np.uint8)).to(device)  # [views, count, 2], from 0 to 2P
        self._fill = torch.from_numpy(np.rint(mean).astype(np.uint8)).to(device)  # [K]

    def apply(self, images: Tensor, indices: Tensor, view: int) -> Tensor:
        """Return view `view` of pictures; the pictures themselves if there is nothing to change.

        Args:
            images: uint8 [B, K, H, W] on the device of this object.
            indices: int64 [B], each picture's place in its set; on the same device.
            view: from 0; epoch e uses view e mod `views`.
        """
        if not self._active:
            return images
        _, _, height, width = images.shape
        shifts = self._shifts[view, indices].long()
        rows = torch.arange(height, device=images.device) + shifts[:, :1]  # [B, H]
        columns = torch.arange(width, device=images.device) + shifts[:, 1:]  # [B, W]
        last = width + 2 * self._padding - 1
        columns = torch.where(self._flips[view, indices][:, None], last - columns, columns)
        padded = self._pad(images)
        stride = padded.shape[-1]
        pixels = (rows[:, :, None] * stride + columns[:, None, :]).flatten(1)  # [B, H·W]
        return padded.flatten(2).gather(2, pixels[:, None].expand(-1, images.shape[1], -1)).view(images.shape)

    def _pad(self, images: Tensor) -> Tensor:
        if self._padding == 0:
            return images
        count, _, height, width = images.shape
        margin = self._padding
        padded = self._fill[None, :, None, None].repeat(count, 1, height + 2 * margin, width + 2 * margin)
        padded[:, :, margin : margin + height, margin : margin + width] = images
        return padded


def _draw(seed: int, view: int, stream: int, bound: int, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Draw whole numbers in [0, bound); those of picture i do not depend on how many pictures there are."""
    return np.random.default_rng([seed, view, stream]).integers(bound, size=shape)
