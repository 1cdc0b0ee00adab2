"""Loads the `Dataset` that data settings describe."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.config import DataSettings, is_own
from trainables.datasets import cifar, digits, fashion_mnist, image_folder
from trainables.datasets.findings import absent_classes, complete
from trainables.datasets.own import check_own_data, read_own_data
from trainables.datasets.source import Places, Progress, Source
from trainables.datasets.split import check_sizes, split_pictures
from trainables.pictures import SETS, Dataset, Images, MappedImages, Split

SOURCES: dict[str, Source] = {
    "digits": digits.SOURCE,
    "fashion-mnist": fashion_mnist.SOURCE,
    "cifar10": cifar.CIFAR10,
    "cifar100": cifar.CIFAR100,
    "image-folder": image_folder.SOURCE,
}

IN_MEMORY = 2**30
"""The most bytes of pictures that are read into memory; more of them stay in their file."""
_DECODED = "decoded"
_CHUNK = 4096  # pictures at a time: bincount makes eight bytes of every pixel


def check_dataset(settings: DataSettings, default_root: Path) -> None:
    """Check the data before any work starts: no picture is decoded, nothing is downloaded.

    Args:
        settings: which pictures.
        default_root: the folder of data sets to use where `settings.root` is None.

    Raises:
        DataError: files are missing and may not be downloaded, a picture folder has a wrong layout, or the sizes do
            not fit.
        PolicyError, ConfigError: a function of the user's own cannot be called; what it returns is not known yet.
    """
    if is_own(settings.name):
        check_own_data(settings)
        return
    counts = SOURCES[settings.name].look(settings, _places(settings, default_root))
    check_sizes(settings, counts)


def load_dataset(settings: DataSettings, *, default_root: Path, progress: Progress | None = None) -> Dataset:
    """Read the pictures and split them; equal settings and files give equal pictures.

    Pictures of an image folder that would take more than `IN_MEMORY` stay in the file that they were decoded to. All
    others are in memory.

    Args:
        settings: which pictures, and how many in each set.
        default_root: the folder of data sets to use where `settings.root` is None. Downloads go there or to
            `settings.root`; what is decoded from an image folder is kept in its subfolder `decoded`. Nothing else is
            written.
        progress: called with a line of text when a download or a long decoding begins or advances.

    Raises:
        DataError: the pictures cannot be found, downloaded or read, or the sizes do not fit.
        PolicyError, ConfigError: a function of the user's own cannot be called.
    """
    if is_own(settings.name):
        pictures = read_own_data(settings)
    else:
        pictures = SOURCES[settings.name].read(settings, _places(settings, default_root), progress or _ignore)
    pool, train, validation, test = split_pictures(pictures, settings)
    mean, std = channel_statistics(pool)
    sets = dict(zip(SETS, (pool, validation, test), strict=True))
    inventory = pictures.inventory
    if inventory is not None:
        inventory = complete(inventory, pictures.classes, sets)
    else:
        for remark in absent_classes(pictures.classes, sets):
            (progress or _ignore)(remark)
    if sum(split.images.nbytes for split in (pool, validation, test)) <= IN_MEMORY:
        whole = train is pool
        pool, validation, test = pool.in_memory(), validation.in_memory(), test.in_memory()
        train = pool if whole else train.in_memory()
    return Dataset(
        name=settings.name,
        classes=pictures.classes,
        pool=pool,
        train=train,
        validation=validation,
        test=test,
        mean=mean,
        std=std,
        inventory=inventory,
    )


def channel_statistics(split: Split) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Compute each channel's mean and standard deviation over all pixels, in stored units (0..255); each [K].

    A constant channel gets the deviation 1, so that normalising never divides by zero.
    """
    sums = _channel_sums(split.images)
    pixels = math.prod(split.images.shape) // len(sums)
    # Computed in whole numbers, because E[x²] - E[x]² in floats loses digits.
    variance = [(pixels * squares - total * total) / pixels**2 for total, squares in sums]
    mean = np.array([total / pixels for total, _ in sums], dtype=np.float32)
    std = np.sqrt(variance).astype(np.float32)
    return mean, np.where(std > 0, std, np.float32(1.0))


def _channel_sums(images: Images) -> list[list[int]]:
    """Return the sums of each channel's pixels and of their squares, [K][2]."""
    if isinstance(images, MappedImages):
        known: list[list[int]] = images.records()["sums"].sum(axis=0).tolist()
        return known
    histogram = np.zeros((images.shape[1], 256), dtype=np.int64)
    for start in range(0, len(images), _CHUNK):
        chunk = images[start : start + _CHUNK]
        for channel, counts in enumerate(histogram):
            counts += np.bincount(chunk[:, channel].ravel(), minlength=256)
    levels = np.arange(256)
    found: list[list[int]] = np.stack([histogram @ levels, histogram @ levels**2], axis=1).tolist()
    return found


def _places(settings: DataSettings, default_root: Path) -> Places:
    return Places(
        root=default_root if settings.root is None else Path(settings.root).expanduser(),
        decoded=default_root / _DECODED,
    )


def _ignore(_: str) -> None:
    """Ignore progress: the callback for a caller that gave none."""
