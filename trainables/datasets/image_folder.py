"""A user's own pictures: one folder a class, decoded once to square pictures of one size.

`trainables.datasets.folders` finds the sets and classes, `trainables.datasets.decoded` decodes the pictures.
"""

from __future__ import annotations

import numpy as np

from trainables.config import DataSettings
from trainables.datasets.decoded import Decoded, decoded_images
from trainables.datasets.folders import Layout, find_layout
from trainables.datasets.source import Counts, Pictures, Places, Progress, Source
from trainables.errors import DataError
from trainables.pictures import SETS, Inventory, Skipped, Split

_DEFAULT_SIZE = 64
_DEFAULT_CHANNELS = 3
_TEST_SHARE = 5  # one picture in five is split off where there is no test folder
_MOST_EXAMPLES = 3

_TRAINING, _VALIDATION, _TEST = SETS


def _look(_settings: DataSettings, places: Places) -> Counts:
    _check_apart(places)
    sets = find_layout(places.root).sets
    sizes = {name: sum(map(len, files.values())) for name, files in sets.items()}
    classes = len(sets[_TRAINING])
    return Counts(
        classes=classes,
        training=sizes[_TRAINING],
        validation=sizes.get(_VALIDATION),
        test=sizes.get(_TEST),
        default_test_size=_default_test_size(sizes[_TRAINING], classes),
    )


def _read(settings: DataSettings, places: Places, progress: Progress) -> Pictures:
    _check_apart(places)
    layout = find_layout(places.root)
    names = [name for files in layout.sets.values() for listed in files.values() for name in listed]
    decoded = decoded_images(
        names,
        root=places.root,
        size=settings.image_size or _DEFAULT_SIZE,
        channels=settings.channels or _DEFAULT_CHANNELS,
        cache=places.decoded,
        progress=progress,
        skip_unreadable=settings.skip_bad,
    )
    splits = _splits(layout, decoded, len(names))
    classes = tuple(layout.sets[_TRAINING])
    return Pictures(
        classes=classes,
        training=splits[_TRAINING],
        validation=splits.get(_VALIDATION),
        test=splits.get(_TEST),
        default_test_size=_default_test_size(len(splits[_TRAINING]), len(classes)),
        inventory=_inventory(layout.inventory, names, decoded),
    )


def _splits(layout: Layout, decoded: Decoded, count: int) -> dict[str, Split]:
    """Return the pictures of each set that could be decoded, with their labels."""
    readable = np.delete(np.arange(count), list(decoded.unreadable))
    splits, begin = {}, 0
    for name, files in layout.sets.items():
        labels = np.repeat(np.arange(len(files), dtype=np.int64), [len(listed) for listed in files.values()])
        rows = np.flatnonzero((readable >= begin) & (readable < begin + len(labels)))
        left = labels[readable[rows] - begin]
        for label, class_name in enumerate(files):
            if label not in left:
                raise DataError(
                    f"no picture of class {class_name!r} in the {name} set can be read; replace them, or remove the"
                    " class."
                )
        splits[name] = Split(images=decoded.images.select(rows), labels=left)
        begin += len(labels)
    return splits


def _inventory(found: Inventory, names: list[str], decoded: Decoded) -> Inventory:
    """Add to an inventory what decoding has shown."""
    remarks, skipped = list(found.remarks), list(found.skipped)
    if decoded.deep:
        remarks.append(
            f"{decoded.deep:,} pictures of 16 bits a channel are scaled to 8, since they use {decoded.depth} bits"
        )
    if decoded.unreadable:
        examples = [
            f"{names[place].encode('utf-8', 'surrogateescape').decode('utf-8', 'replace')}: {reason}"
            for place, reason in list(decoded.unreadable.items())[:_MOST_EXAMPLES]
        ]
        skipped.append(
            Skipped(reason="pictures that cannot be read", count=len(decoded.unreadable), examples=tuple(examples))
        )
    return found.model_copy(update={"remarks": tuple(remarks), "skipped": tuple(skipped)})


def _check_apart(places: Places) -> None:
    if places.decoded.resolve().is_relative_to(places.root.resolve()):
        raise DataError(
            f"the folder for decoded pictures, {str(places.decoded)!r}, must not lie in `root` ="
            f" {str(places.root)!r}, where nothing is written; name another place with --data-root or KD_SEARCH_DATA,"
            " or give the pictures a folder of their own."
        )


def _default_test_size(pictures: int, classes: int) -> int:
    return max(pictures // _TEST_SHARE, classes)


SOURCE = Source(look=_look, read=_read)
