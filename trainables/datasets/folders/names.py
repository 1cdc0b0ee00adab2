"""Tells what the names of folders and files mean."""

from __future__ import annotations

import functools
import os
import re
import unicodedata

from trainables.pictures import SETS

TRAINING, VALIDATION, TEST = SETS

_WORDS = {
    **dict.fromkeys(("train", "training", "trn", "trainval"), TRAINING),
    **dict.fromkeys(("validation", "valid", "val", "dev", "devel", "development", "eval", "evaluation"), VALIDATION),
    **dict.fromkeys(("test", "testing", "tst"), TEST),
}
_AROUND = frozenset(("set", "sets", "split", "data", "dataset", "images", "image", "imgs", "img", "pictures", "photos"))
"""Words that a set's name may have beside the set's own."""
_ALL_PICTURES = frozenset(("images", "image", "imgs", "img", "jpegimages", "pictures", "photos"))
_NO_PICTURES = frozenset(
    ("annotations", "annotation", "labels", "label", "masks", "mask", "xmls", "meta", "metadata", "bboxes", "trimaps")
)
_OF_TOOLS = frozenset(
    (
        "__macosx",
        "@eadir",
        "#recycle",
        "@recycle",
        "$recycle.bin",
        "lost+found",
        "system volume information",
        "__pycache__",
        "thumbs.db",
        "desktop.ini",
    )
)
"""Names that systems and programs leave in folders, in small letters."""

_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "apng",
        "bmp",
        "dib",
        "gif",
        "jfif",
        "jpe",
        "jpeg",
        "jpg",
        "pbm",
        "pgm",
        "png",
        "pnm",
        "ppm",
        "tif",
        "tiff",
    )
)
_WITH_A_CODEC = {".avif": "avif", ".webp": "webp", ".jp2": "jpg_2000", ".j2k": "jpg_2000", ".jpx": "jpg_2000"}
"""Suffixes of formats that some builds of Pillow lack, and Pillow's names of their codecs."""
_WITH_A_PLUGIN = (".heic", ".heif")


def set_of(name: str) -> tuple[str, tuple[str, ...]] | None:
    """Return the set that a folder's name means, and the name's other words; None if it means none.

    `Val`, `valid_set` and `val2017` mean the validation set and have no other word; `seg_train` has the word `seg`.
    """
    parts = re.split(r"[\W_\d]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name))
    words = [word for part in parts if (word := part.casefold())]
    words = [word.removesuffix("set") if word.removesuffix("set") in _WORDS else word for word in words]
    meant = [_WORDS[word] for word in words if word in _WORDS]
    if len(meant) != 1:
        return None
    return meant[0], tuple(word for word in words if word not in _WORDS and word not in _AROUND)


def holds_all_pictures(name: str) -> bool:
    """Tell whether a folder's name says that it holds pictures of all classes, such as `images`."""
    return name.casefold() in _ALL_PICTURES


def holds_no_pictures(name: str) -> bool:
    """Tell whether a folder's name says that it holds what belongs to pictures, such as `annotations`."""
    return name.casefold() in _NO_PICTURES


def is_hidden(name: str) -> bool:
    """Tell whether a file or folder is hidden, or a tool's own."""
    return name.startswith(".") or name.casefold() in _OF_TOOLS


def class_name(name: str) -> str:
    """Return a folder's name as text. A name that is not UTF-8 is read as Latin-1, as older systems wrote it."""
    raw = os.fsencode(name)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def class_key(name: str) -> str:
    """Return what is equal for two spellings of one class: `é` is one character or two, depending on the system."""
    return unicodedata.normalize("NFC", class_name(name))


@functools.cache
def why_unreadable(suffix: str) -> str | None:
    """Say why files of a suffix, in small letters, are skipped; None if they are read."""
    if suffix in _SUFFIXES:
        return None
    if suffix in _WITH_A_CODEC:
        from PIL import features

        return None if features.check(_WITH_A_CODEC[suffix]) else "pictures that this build of Pillow cannot read"
    if suffix in _WITH_A_PLUGIN:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            return "pictures in the format HEIC, which need `pip install pillow-heif`"
        register_heif_opener()
        return None
    return "files that are no pictures by their suffix"


SUFFIXES = ", ".join(sorted((*_SUFFIXES, *_WITH_A_CODEC, *_WITH_A_PLUGIN)))
"""The suffixes of pictures, in words."""
