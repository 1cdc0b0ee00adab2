"""What pictures a network was trained for, as plain data. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from trainables.settings import Settings

if TYPE_CHECKING:
    from trainables.pictures.sets import Dataset, TrialAssets


class PictureFormat(Settings):
    """The pictures of a data set as they are stored, and how a network wants them normalised.

    A network reads (pixel - `mean`) / `std`, by channel; pixels, means and deviations are in 0..255.
    """

    shape: tuple[int, int, int]
    """(channels, height, width)."""
    classes: tuple[str, ...]
    """In the order of the logits."""
    mean: tuple[float, ...]
    """Of each channel."""
    std: tuple[float, ...]

    @classmethod
    def of(cls, assets: Dataset | TrialAssets) -> Self:
        """Those of a data set."""
        mean, std = assets.mean.tolist(), assets.std.tolist()
        return cls(shape=assets.image_shape, classes=assets.classes, mean=tuple(mean), std=tuple(std))
