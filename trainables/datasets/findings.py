"""Counts what the sets hold, and finds what a user would want to know before a search is spent on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from trainables.pictures import SETS, Images, Inventory, MappedImages, Split

_TRAINING, _VALIDATION, _TEST = SETS
_MOST_NAMED = 5


def complete(inventory: Inventory, classes: Sequence[str], sets: dict[str, Split]) -> Inventory:
    """Return a folder's inventory with the pictures counted, and with remarks on them.

    Args:
        inventory: as the folder's source has it.
        classes: the classes' names.
        sets: the split pictures; the training set is the teacher's.
    """
    counted = inventory.with_classes(classes, {name: split.labels.tolist() for name, split in sets.items()})
    remarks = (*absent_classes(classes, sets), *_of_one_colour(sets), *_in_two_sets(sets))
    return counted.model_copy(update={"remarks": (*inventory.remarks, *remarks)})


def absent_classes(classes: Sequence[str], sets: dict[str, Split]) -> Iterator[str]:
    """Yield a remark on each set that has no picture of some classes."""
    for name, split in sets.items():
        counts = np.bincount(split.labels, minlength=len(classes))
        if absent := [classes[label] for label in np.flatnonzero(counts == 0).tolist()]:
            named = ", ".join(map(repr, absent[:_MOST_NAMED])) + (", …" if len(absent) > _MOST_NAMED else "")
            what = "class" if len(absent) == 1 else "classes"
            yield (
                f"the {name} set has no picture of the {what} {named}, so it does not judge"
                f" {'it' if len(absent) == 1 else 'them'}; add pictures, or raise `data.{name}_size`"
            )


def _of_one_colour(sets: dict[str, Split]) -> Iterator[str]:
    found = 0
    for split in sets.values():
        if isinstance(split.images, MappedImages) and len(split):
            sums = split.images.records()["sums"]
            pixels = split.images.shape[2] * split.images.shape[3]
            found += int((sums[:, :, 0] ** 2 == pixels * sums[:, :, 1]).all(axis=1).sum())
    if found:
        yield f"{found:,} pictures are of one colour only; look at some of them"


def _in_two_sets(sets: dict[str, Split]) -> Iterator[str]:
    for name, others in ((_VALIDATION, (_TRAINING,)), (_TEST, (_TRAINING, _VALIDATION))):
        digests = _digests(sets[name].images)
        known = np.concatenate([_digests(sets[other].images) for other in others])
        if same := int(np.isin(digests, known).sum()):
            yield (
                f"{same:,} of the {len(digests):,} {name} pictures are also among the {' or '.join(others)} pictures,"
                f" so scores on the {name} set are too good; remove doubles"
            )


def _digests(images: Images) -> np.ndarray[tuple[int], np.dtype[np.bytes_]]:
    if not isinstance(images, MappedImages):
        return np.empty(0, dtype="V16")
    return images.records()["digest"]
