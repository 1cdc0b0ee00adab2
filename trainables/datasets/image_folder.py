"""A user's own pictures: one folder a class, decoded once to square pictures of one size.

root/<class>/*.jpg                        a test set is split off
root/train/<class>/*.jpg                  and, if there are any, root/test and root/val or root/validation
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from trainables.config import DataSettings
from trainables.datasets.decoded import decoded_images
from trainables.datasets.source import Counts, Pictures, Places, Progress, Source
from trainables.errors import DataError
from trainables.pictures import Split

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"))
_DEFAULT_SIZE = 64
_DEFAULT_CHANNELS = 3
_TEST_SHARE = 5  # one picture in five is split off where there is no test folder

_Files = dict[str, list[str]]
"""The pictures' paths by class, both sorted; relative to `root`, with `/` between folders."""


def _look(_settings: DataSettings, places: Places) -> Counts:
    _check_apart(places)
    sets = _find_sets(places.root)
    return Counts(
        classes=len(sets["train"]),
        training=_size(sets["train"]),
        validation=_size(sets["validation"]) if "validation" in sets else None,
        test=_size(sets["test"]) if "test" in sets else None,
        default_test_size=_default_test_size(sets["train"]),
    )


def _read(settings: DataSettings, places: Places, progress: Progress) -> Pictures:
    _check_apart(places)
    sets = _find_sets(places.root)
    images = decoded_images(
        [name for files in sets.values() for names in files.values() for name in names],
        root=places.root,
        size=settings.image_size or _DEFAULT_SIZE,
        channels=settings.channels or _DEFAULT_CHANNELS,
        cache=places.decoded,
        progress=progress,
    ).images
    splits, begin = {}, 0
    for name, files in sets.items():
        labels = np.repeat(np.arange(len(files), dtype=np.int64), [len(names) for names in files.values()])
        splits[name] = Split(images=images.select(np.arange(begin, begin + len(labels))), labels=labels)
        begin += len(labels)
    return Pictures(
        classes=tuple(sets["train"]),
        training=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        default_test_size=_default_test_size(sets["train"]),
    )


def _check_apart(places: Places) -> None:
    if places.decoded.resolve().is_relative_to(places.root.resolve()):
        raise DataError(
            f"the folder for decoded pictures, {str(places.decoded)!r}, must not lie in `root` ="
            f" {str(places.root)!r}, where nothing is written; name another place with --data-root or KD_SEARCH_DATA,"
            " or give the pictures a folder of their own."
        )


def _find_sets(root: Path) -> dict[str, _Files]:
    """Find the pictures of `train` and, where there are such folders, of `validation` and `test`."""
    if not root.is_dir():
        raise DataError(f"`root` must be a folder of pictures, but there is no folder {str(root)!r}; correct the path.")
    folders = {folder.name: folder for folder in _folders(root)}
    if "train" not in folders or not _folders(folders["train"]):  # without inner folders, `train` is a class (railways)
        return {"train": _find_classes(root, root)}
    found = {"train": _find_classes(root, folders["train"])}
    for name, spellings in (("validation", ("validation", "val")), ("test", ("test",))):
        folder = next((folders[spelling] for spelling in spellings if spelling in folders), None)
        if folder is None:
            continue
        found[name] = _find_classes(root, folder)
        if different := sorted(set(found["train"]) ^ set(found[name])):
            raise DataError(
                f"{str(folders['train'])!r} and {str(folder)!r} must have folders for the same classes, but only one of"
                f" them has {', '.join(map(repr, different[:5]))}; rename, add or remove folders."
            )
    return found


def _find_classes(root: Path, folder: Path) -> _Files:
    classes = {inner.name: _pictures(root, inner) for inner in _folders(folder)}
    if len(classes) < 2:
        raise DataError(
            f"{str(folder)!r} must hold at least 2 folders of pictures, one per class, but holds {len(classes)};"
            " sort the pictures into one folder per class."
        )
    for name, files in classes.items():
        if not files:
            raise DataError(
                f"the class folder {str(folder / name)!r} holds no picture ({', '.join(sorted(_SUFFIXES))}); add some"
                " or remove the folder."
            )
    return classes


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(root: Path, folder: Path) -> list[str]:
    names = _walk(str(folder), folder.relative_to(root).as_posix())
    return sorted(names, key=lambda name: name.split("/"))


def _walk(folder: str, prefix: str) -> Iterator[str]:
    """Find the pictures in a folder. Paths are strings from `os.scandir`, because there may be a million pictures."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{prefix}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(entry.path, name)
                elif _is_picture(entry.name) and entry.is_file():
                    yield name
    except OSError as error:
        raise DataError(f"the folder of pictures {folder!r} cannot be read ({error.strerror or error}).") from error


def _is_picture(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in _SUFFIXES and not name.startswith(".")


def _size(files: _Files) -> int:
    return sum(len(names) for names in files.values())


def _default_test_size(files: _Files) -> int:
    return max(_size(files) // _TEST_SHARE, len(files))


SOURCE = Source(look=_look, read=_read)
