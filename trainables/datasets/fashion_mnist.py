"""Fashion-MNIST: 60,000 training and 10,000 test pictures of clothing, grey, 28×28 pixels, ten classes.

Files are looked for in the data root (as torchvision lays them out, or directly in it), then where Debian's package
`dataset-fashion-mnist` puts them. If they are not found, they are downloaded. Source: Xiao, Rasul and Vollgraf 2017
(arXiv 1708.07747).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trainables.config import DataSettings
from trainables.datasets.idx import read_idx
from trainables.datasets.source import Counts, Pictures, Places, Progress, Source
from trainables.errors import DataError
from trainables.pictures import Split

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")

_CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
_FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _look(settings: DataSettings, places: Places) -> Counts:
    root = places.root
    if _find(root) is None and not settings.download:
        raise DataError(f"Fashion-MNIST was not found, and `download` is false. {_remedy(root)}")
    return Counts(classes=len(_CLASSES), training=60_000, test=10_000)


def _read(settings: DataSettings, places: Places, progress: Progress) -> Pictures:
    root = places.root
    if _find(root) is None and settings.download:
        progress(f"Downloading Fashion-MNIST (31 MB) to {root}")
        _download(root)
    found = _find(root)
    if found is None:
        raise DataError(f"Fashion-MNIST was not found, and `download` is false. {_remedy(root)}")
    train_images, train_labels, test_images, test_labels = found
    return Pictures(
        classes=_CLASSES,
        training=_read_split(train_images, train_labels),
        test=_read_split(test_images, test_labels),
    )


def _read_split(images: Path, labels: Path) -> Split:
    pictures = read_idx(images, dimensions=3)
    names = read_idx(labels, dimensions=1)
    if len(pictures) == 0 or len(pictures) != len(names):
        raise DataError(
            f"{str(images)!r} has {len(pictures)} pictures and {str(labels)!r} has {len(names)} labels, but there must"
            " be one label per picture and at least one of them; remove both and get the data set again."
        )
    return Split(images=pictures[:, None], labels=names.astype(np.int64))


def _find(root: Path) -> list[Path] | None:
    """Return the four files of `_FILES` from the first folder that has them all."""
    for folder in (root / "FashionMNIST" / "raw", root, DEBIAN_FOLDER):
        found = [
            next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None) for name in _FILES
        ]
        if None not in found:
            return [path for path in found if path is not None]
    return None


def _download(root: Path) -> None:
    from torchvision.datasets import FashionMNIST  # here: it imports torch

    try:
        FashionMNIST(str(root), download=True)
    except (OSError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1]
        where = repr(str(root))
        raise DataError(f"Fashion-MNIST could not be downloaded to {where} ({reason}). {_remedy(root)}") from error


def _remedy(root: Path) -> str:
    return (
        "Either run `apt-get install dataset-fashion-mnist`, or put"
        f" {', '.join(f'{name}.gz' for name in _FILES)} into {str(root / 'FashionMNIST' / 'raw')!r}, or set"
        " `download` = true on a machine with internet access."
    )


SOURCE = Source(look=_look, read=_read)
