"""CIFAR-10 and CIFAR-100: 50,000 training and 10,000 test colour pictures of 32×32 pixels.

They are read from the pickles of the "python version", as torchvision lays them out. Source: Krizhevsky 2009,
https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import dataclasses
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from trainables.config import DataSettings
from trainables.datasets.source import Counts, Pictures, Places, Progress, Source
from trainables.errors import DataError
from trainables.pictures import Split

_SHAPE = (3, 32, 32)

# A damaged pickle raises one of these, depending on the byte that is wrong.
_UNREADABLE = (
    OSError,
    EOFError,
    pickle.UnpicklingError,
    ValueError,
    TypeError,
    AttributeError,
    IndexError,
    KeyError,
    OverflowError,
    MemoryError,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Variant:
    title: str
    torchvision_class: str
    folder: str
    training: tuple[str, ...]
    test: str
    labels: str
    meta: str
    names: str
    classes: int


_CIFAR10 = _Variant(
    title="CIFAR-10",
    torchvision_class="CIFAR10",
    folder="cifar-10-batches-py",
    training=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    labels="labels",
    meta="batches.meta",
    names="label_names",
    classes=10,
)
_CIFAR100 = _Variant(
    title="CIFAR-100",
    torchvision_class="CIFAR100",
    folder="cifar-100-python",
    training=("train",),
    test="test",
    labels="fine_labels",
    meta="meta",
    names="fine_label_names",
    classes=100,
)


def _source(variant: _Variant) -> Source:
    def look(settings: DataSettings, places: Places) -> Counts:
        root = places.root
        if _find(variant, root) is None and not settings.download:
            raise DataError(f"{variant.title} was not found, and `download` is false. {_remedy(variant, root)}")
        return Counts(classes=variant.classes, training=50_000, test=10_000)

    def read(settings: DataSettings, places: Places, progress: Progress) -> Pictures:
        root = places.root
        folder = _find(variant, root)
        if folder is None and settings.download:
            progress(f"Downloading {variant.title} (170 MB) to {root}")
            _download(variant, root)
            folder = _find(variant, root)
        if folder is None:
            raise DataError(f"{variant.title} was not found. {_remedy(variant, root)}")
        classes = tuple(str(name) for name in _entry(folder / variant.meta, variant.names))
        if len(classes) != variant.classes:
            raise _damaged(folder / variant.meta, f"names {len(classes)} classes instead of {variant.classes}")
        training = [_read_batch(variant, folder / name) for name in variant.training]
        return Pictures(
            classes=classes,
            training=Split(
                images=np.concatenate([batch.images for batch in training]),
                labels=np.concatenate([batch.labels for batch in training]),
            ),
            test=_read_batch(variant, folder / variant.test),
        )

    return Source(look=look, read=read)


def _read_batch(variant: _Variant, path: Path) -> Split:
    data = np.asarray(_entry(path, "data"))
    labels = np.asarray(_entry(path, variant.labels))
    if data.dtype != np.uint8 or data.shape != (len(labels), np.prod(_SHAPE)) or labels.dtype.kind != "i":
        raise _damaged(path, f"has values of shape {data.shape} for {labels.shape} labels")
    return Split(images=data.reshape(-1, *_SHAPE), labels=labels.astype(np.int64))


def _entry(path: Path, key: str) -> Any:
    try:
        content = _NumpyUnpickler(io.BytesIO(path.read_bytes()), encoding="latin1").load()
    except _UNREADABLE as e:
        raise _damaged(path, f"cannot be read ({e})") from e
    if not isinstance(content, dict) or key not in content:
        raise _damaged(path, f"has no entry {key!r}")
    return content[key]


class _NumpyUnpickler(pickle.Unpickler):
    """Reads arrays and plain values only, so that a forged file cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it holds {module}.{name}, which no CIFAR file has")
        return _ALLOWED[module, name]


def _dtype(kind: str, align: int, copy: int) -> Any:
    """Build a dtype from an old pickle's 0 and 1, where NumPy 2.4 begins to insist on booleans."""
    return np.dtype(kind, align=bool(align), copy=bool(copy))


def _encode(text: str, encoding: str) -> bytes:
    """Encode text as `_codecs.encode` does, which newer Pythons put into old pickles to write bytes."""
    return text.encode(encoding)


def _empty_array(kind: type[np.ndarray[Any, Any]], _shape: object, _code: object) -> np.ndarray[Any, Any]:
    """Return an empty array, which the pickle's next instruction fills."""
    return kind.__new__(kind, (0,), dtype=np.int8)


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty_array,
    ("numpy._core.multiarray", "_reconstruct"): _empty_array,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): _dtype,
    ("_codecs", "encode"): _encode,
}


def _find(variant: _Variant, root: Path) -> Path | None:
    for folder in (root / variant.folder, root):
        if all((folder / name).is_file() for name in (*variant.training, variant.test, variant.meta)):
            return folder
    return None


def _download(variant: _Variant, root: Path) -> None:
    from torchvision import datasets  # here: it imports torch

    described = getattr(datasets, variant.torchvision_class)
    try:
        datasets.utils.download_and_extract_archive(
            described.url, str(root), filename=described.filename, md5=described.tgz_md5
        )
    except (OSError, RuntimeError) as error:
        raise DataError(
            f"{variant.title} could not be downloaded to {str(root)!r} ({error}). {_remedy(variant, root)}"
        ) from error


def _remedy(variant: _Variant, root: Path) -> str:
    return (
        f"Either unpack the python version of https://www.cs.toronto.edu/~kriz/cifar.html so that {variant.meta!r} is"
        f" in {str(root / variant.folder)!r}, or set `download` = true on a machine with internet access."
    )


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{str(path)!r} {what}; remove its folder and get the data set again.")


CIFAR10 = _source(_CIFAR10)
CIFAR100 = _source(_CIFAR100)
