"""Describes the pictures that a network was trained for, as plain data. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from trainables.settings import Settings

if TYPE_CHECKING:
    from trainables.pictures.sets import Dataset, TrialAssets


class PictureFormat(Settings):
    """The format of a data set's pictures as they are stored, and their normalisation for a network.

    A network reads (pixel - `mean`) / `std`, by channel; pixels, means and deviations are in 0..255.
    """

    shape: tuple[int, int, int]
    """(channels, height, width)."""
    classes: tuple[str, ...]
    """The class names, in the order of the logits."""
    mean: tuple[float, ...]
    """The mean of each channel."""
    std: tuple[float, ...]

    @classmethod
    def of(cls, assets: Dataset | TrialAssets) -> Self:
        """Return the format of a data set's pictures."""
        mean, std = assets.mean.tolist(), assets.std.tolist()
        return cls(shape=assets.image_shape, classes=assets.classes, mean=tuple(mean), std=tuple(std))
