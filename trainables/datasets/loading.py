"""From data settings to a `Dataset`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.assets import Dataset, Split
from trainables.config import DataSettings
from trainables.datasets import cifar, digits, fashion_mnist, image_folder
from trainables.datasets.source import Progress, Source
from trainables.datasets.split import check_sizes, split_pictures

SOURCES: dict[str, Source] = {
    "digits": digits.SOURCE,
    "fashion-mnist": fashion_mnist.SOURCE,
    "cifar10": cifar.CIFAR10,
    "cifar100": cifar.CIFAR100,
    "image-folder": image_folder.SOURCE,
}

_CHUNK = 4096  # pictures at a time: bincount makes eight bytes of every pixel


def check_dataset(settings: DataSettings, default_root: Path) -> None:
    """Find what is wrong with the data before any work starts: no picture is decoded, nothing is downloaded.

    Args:
        settings: which pictures.
        default_root: the folder of data sets to use where `settings.root` is None.

    Raises:
        DataError: files are missing and may not be downloaded, a picture folder has a wrong layout, or the sizes do
            not fit.
    """
    counts = SOURCES[settings.name].look(settings, _root(settings, default_root))
    check_sizes(settings, counts)


def load_dataset(settings: DataSettings, *, default_root: Path, progress: Progress | None = None) -> Dataset:
    """Read the pictures into memory and split them; equal settings and files give equal arrays.

    Args:
        settings: which pictures, and how many in each set.
        default_root: the folder of data sets to use where `settings.root` is None. Downloads go there or to
            `settings.root`; nothing else is written.
        progress: called with a line of text when a download or a long decoding begins or advances.

    Raises:
        DataError: the pictures cannot be found, downloaded or read, or the sizes do not fit.
    """
    pictures = SOURCES[settings.name].read(settings, _root(settings, default_root), progress or _ignore)
    pool, train, validation, test = split_pictures(pictures, settings)
    mean, std = channel_statistics(pool)
    return Dataset(
        name=settings.name,
        classes=pictures.classes,
        pool=pool,
        train=train,
        validation=validation,
        test=test,
        mean=mean,
        std=std,
    )


def channel_statistics(split: Split) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and standard deviation of each channel over all pixels, in stored units (0..255); each [K].

    A constant channel gets the deviation 1, so that normalising never divides by zero.
    """
    channels = split.images.shape[1]
    histogram = np.zeros((channels, 256), dtype=np.int64)
    for start in range(0, len(split), _CHUNK):
        chunk = split.images[start : start + _CHUNK]
        for channel in range(channels):
            histogram[channel] += np.bincount(chunk[:, channel].ravel(), minlength=256)
    share = histogram / histogram.sum(axis=1, keepdims=True)
    levels = np.arange(256)
    mean = share @ levels
    variance = (share * (levels - mean[:, None]) ** 2).sum(axis=1)
    std = np.sqrt(variance)
    return mean.astype(np.float32), np.where(std > 0, std, 1.0).astype(np.float32)


def _root(settings: DataSettings, default_root: Path) -> Path:
    return default_root if settings.root is None else Path(settings.root).expanduser()


def _ignore(_: str) -> None:
    """The progress callback of a caller who gave none."""
