"""Seeded, stratified splits into a pool, the students' part of it, a validation set and a test set."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.config import DataSettings
from trainables.datasets.source import Counts, Pictures
from trainables.errors import DataError
from trainables.pictures import Split

_VALIDATION_SIZE = 500
_VALIDATION_SHARE = 3
"""One picture in three is split off where `_VALIDATION_SIZE` would be more than half."""

# Each split draws from a stream of its own, so that the size of one does not reshuffle the others.
_TEST, _VALIDATION, _TRAIN = range(3)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sizes:
    """Pictures in each set; `train` is part of `pool`."""

    pool: int
    train: int
    validation: int
    test: int


def check_sizes(settings: DataSettings, counts: Counts) -> Sizes:
    """Check the sizes of the sets that the settings ask for, and return them.

    A source's own validation and test sets are taken whole unless the settings ask for fewer.

    Raises:
        DataError: a set would have more pictures than there are, or fewer than there are classes.
    """
    left = counts.training
    if counts.test is not None:
        test = counts.test if settings.test_size is None else settings.test_size
        _at_most("test_size", test, counts.test, "the pictures of the data set's own test set")
    else:
        test = counts.default_test_size if settings.test_size is None else settings.test_size
        left -= test
        _at_most("test_size", test, counts.training, "all pictures, as the data set has no test set of its own")
    if counts.validation is not None:
        validation = counts.validation if settings.validation_size is None else settings.validation_size
        own = "the pictures of the data set's own validation set, from which they are taken"
        _at_most("validation_size", validation, counts.validation, own)
    else:
        usual = _default_validation_size(left, counts.classes)
        validation = usual if settings.validation_size is None else settings.validation_size
        what = "all training pictures" if counts.test is not None else f"all pictures but the {test} test pictures"
        _at_most("validation_size", validation, left, what)
        left -= validation
    if left < counts.classes:
        raise DataError(
            f"`data.validation_size` = {validation} leaves {left} of {counts.training} pictures to train on, but"
            f" {counts.classes} classes need at least {counts.classes}; lower `data.validation_size`"
            f"{' or `data.test_size`' if counts.test is None else ''}, or add pictures."
        )
    train = left if settings.train_size is None else settings.train_size
    _at_most("train_size", train, left, "the pictures that the other sets leave")
    for field, size in (("train_size", train), ("validation_size", validation), ("test_size", test)):
        if size < counts.classes:
            raise DataError(
                f"`data.{field}` must be at least {counts.classes}, one picture per class, but got {size}; raise it."
                if getattr(settings, field) == size
                else f"the set of `data.{field}` has {size} pictures, but {counts.classes} classes need at least"
                f" {counts.classes}; add pictures."
            )
    return Sizes(pool=left, train=train, validation=validation, test=test)


def _default_validation_size(left: int, classes: int) -> int:
    """Return how many pictures to split off where the data set has no validation set and the user gives no size."""
    if left >= 2 * _VALIDATION_SIZE:
        return _VALIDATION_SIZE
    return min(max(left // _VALIDATION_SHARE, classes), left)


def split_pictures(pictures: Pictures, settings: DataSettings) -> tuple[Split, Split, Split, Split]:
    """Return (pool, train, validation, test); stratified by class, each in the source's order.

    Raises:
        DataError: as `check_sizes`, or a class is too small to be in every set.
    """
    sizes = check_sizes(settings, pictures.counts)
    _check_labels(pictures)
    pool, test = pictures.training, pictures.test
    if test is None:
        pool, test = _divide(pool, sizes.test, settings.split_seed, _TEST, "test_size")
    elif sizes.test < len(test):
        _, test = _divide(test, sizes.test, settings.split_seed, _TEST, "test_size")
    validation = pictures.validation
    if validation is None:
        pool, validation = _divide(pool, sizes.validation, settings.split_seed, _VALIDATION, "validation_size")
    elif sizes.validation < len(validation):
        _, validation = _divide(validation, sizes.validation, settings.split_seed, _VALIDATION, "validation_size")
    train = pool
    if sizes.train < len(pool):
        _, train = _divide(pool, sizes.train, settings.split_seed, _TRAIN, "train_size")
    present = np.bincount(train.labels, minlength=len(pictures.classes))
    if not present.all():
        absent = pictures.classes[int(np.argmin(present))]
        raise DataError(
            f"the {len(train)} training pictures hold none of class {absent!r}, which is rare;"
            " raise `data.train_size`, lower `data.validation_size` and `data.test_size`, or add pictures of it."
        )
    return pool, train, validation, test


def _divide(split: Split, size: int, seed: int, stream: int, field: str) -> tuple[Split, Split]:
    """Return (the rest, `size` pictures); stratified by class if the rest can hold every class."""
    from sklearn.model_selection import train_test_split  # here: it costs a second to import

    options: dict[str, Any] = {}
    if len(split) - size >= len(np.unique(split.labels)):  # scikit-learn stratifies only what can hold every class
        options["stratify"] = split.labels
    state = int(np.random.SeedSequence([seed, stream]).generate_state(1)[0])
    try:
        rest, chosen = train_test_split(np.arange(len(split)), test_size=size, random_state=state, **options)
    except ValueError as error:
        raise DataError(
            f"cannot split off `data.{field}` = {size} of {len(split)} pictures by class ({error});"
            " add pictures of the rare classes, or change the sizes."
        ) from error
    return split.subset(np.sort(rest)), split.subset(np.sort(chosen))


def _check_labels(pictures: Pictures) -> None:
    for name, split in (("training", pictures.training), ("validation", pictures.validation), ("test", pictures.test)):
        if split is None:
            continue
        labels: npt.NDArray[np.int64] = split.labels
        if len(labels) != len(split.images):
            raise DataError(f"the {name} set has {len(split.images)} pictures but {len(labels)} labels; get it again.")
        if labels.min() < 0 or labels.max() >= len(pictures.classes):
            raise DataError(
                f"the {name} set has labels from {labels.min()} to {labels.max()}, but {len(pictures.classes)} classes"
                f" have the labels 0 to {len(pictures.classes) - 1}; get it again."
            )
    counts = np.bincount(pictures.training.labels, minlength=len(pictures.classes))
    if counts.min() < 2:
        name = pictures.classes[int(np.argmin(counts))]
        raise DataError(
            f"class {name!r} has {counts.min()} training pictures, but at least 2 are needed to split them; add some."
        )


def _at_most(field: str, size: int, available: int, what: str) -> None:
    if size > available:
        raise DataError(f"`data.{field}` must be at most {available} ({what}), but got {size}; lower it.")
