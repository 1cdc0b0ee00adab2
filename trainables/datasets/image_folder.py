"""A user's own pictures: one folder a class, decoded once to square pictures of one size.

root/<class>/*.jpg                        a test set is split off
root/train/<class>/*.jpg                  and, if there are any, root/test and root/val or root/validation
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trainables.assets import Split
from trainables.config import DataSettings
from trainables.datasets.source import Counts, Pictures, Progress, Source
from trainables.errors import DataError

_SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"))
_DEFAULT_SIZE = 64
_DEFAULT_CHANNELS = 3
_TEST_SHARE = 5  # one picture in five is split off where there is no test folder
_REPORT_EVERY = 1000

_Files = dict[str, list[Path]]
"""Pictures by class, both sorted."""


def _look(_settings: DataSettings, root: Path) -> Counts:
    sets = _find_sets(root)
    return Counts(
        classes=len(sets["train"]),
        training=_size(sets["train"]),
        validation=_size(sets["validation"]) if "validation" in sets else None,
        test=_size(sets["test"]) if "test" in sets else None,
        default_test_size=_default_test_size(sets["train"]),
    )


def _read(settings: DataSettings, root: Path, progress: Progress) -> Pictures:
    sets = _find_sets(root)
    size = settings.image_size or _DEFAULT_SIZE
    channels = settings.channels or _DEFAULT_CHANNELS
    splits = {name: _decode_all(files, size, channels, progress) for name, files in sets.items()}
    return Pictures(
        classes=tuple(sets["train"]),
        training=splits["train"],
        validation=splits.get("validation"),
        test=splits.get("test"),
        default_test_size=_default_test_size(sets["train"]),
    )


def _find_sets(root: Path) -> dict[str, _Files]:
    """The pictures of `train` and, where there are such folders, of `validation` and `test`."""
    if not root.is_dir():
        raise DataError(f"`root` must be a folder of pictures, but there is no folder {str(root)!r}; correct the path.")
    folders = {folder.name: folder for folder in _folders(root)}
    if "train" not in folders or not _folders(folders["train"]):  # `train` may be the class of railway pictures
        return {"train": _find_classes(root)}
    found = {"train": _find_classes(folders["train"])}
    for name, spellings in (("validation", ("validation", "val")), ("test", ("test",))):
        folder = next((folders[spelling] for spelling in spellings if spelling in folders), None)
        if folder is None:
            continue
        found[name] = _find_classes(folder)
        if different := sorted(set(found["train"]) ^ set(found[name])):
            raise DataError(
                f"{str(folders['train'])!r} and {str(folder)!r} must have folders for the same classes, but only one of"
                f" them has {', '.join(map(repr, different[:5]))}; rename, add or remove folders."
            )
    return found


def _find_classes(folder: Path) -> _Files:
    classes = {inner.name: _pictures(inner) for inner in _folders(folder)}
    if len(classes) < 2:
        raise DataError(
            f"{str(folder)!r} must hold at least 2 folders of pictures, one a class, but holds {len(classes)};"
            " sort the pictures into one folder a class."
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


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _size(files: _Files) -> int:
    return sum(len(paths) for paths in files.values())


def _default_test_size(files: _Files) -> int:
    return max(_size(files) // _TEST_SHARE, len(files))


def _decode_all(files: _Files, size: int, channels: int, progress: Progress) -> Split:
    paths: Sequence[Path] = [path for inner in files.values() for path in inner]
    labels = np.repeat(np.arange(len(files), dtype=np.int64), [len(inner) for inner in files.values()])
    images = np.empty((len(paths), channels, size, size), dtype=np.uint8)
    # Threads, because Pillow lets go of the interpreter while it decodes and scales.
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        try:
            for index, image in enumerate(pool.map(lambda path: _decode(path, size, channels), paths)):
                images[index] = image
                if (index + 1) % _REPORT_EVERY == 0:
                    progress(f"Decoded {index + 1} of {len(paths)} pictures")
        except DataError:
            pool.shutdown(cancel_futures=True)
            raise
    return Split(images=images, labels=labels)


def _decode(path: Path, size: int, channels: int) -> npt.NDArray[np.uint8]:
    """One picture, [K, size, size]: its shorter side scaled to `size`, then the middle cut out.

    Raises:
        DataError: the file is no readable picture.
    """
    from PIL import Image, ImageOps

    mode = "L" if channels == 1 else "RGB"
    try:
        with Image.open(path) as picture:
            picture.draft(mode, (size, size))  # lets a JPEG be decoded at a fraction of its size
            upright = ImageOps.exif_transpose(picture)
            if upright.mode.startswith("I;16"):
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            elif upright.mode in ("I", "F"):
                raise DataError(f"{str(path)!r} has 32 bits a pixel, but 8 or 16 are read; convert it.")
            elif "transparency" in upright.info:
                upright = upright.convert("RGBA")
            square = ImageOps.fit(upright.convert(mode), (size, size), method=Image.Resampling.BILINEAR)
            pixels: npt.NDArray[np.uint8] = np.asarray(square, dtype=np.uint8)
    except (
        OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError
    ) as error:  # fmt: skip
        if isinstance(error, DataError):
            raise
        raise DataError(f"the picture {str(path)!r} cannot be read ({error}); replace it or remove it.") from error
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


SOURCE = Source(look=_look, read=_read)
