"""Pictures from a function of the user's own, `my_data.py:load`.

The function takes `data.options` as arguments and returns a dict:

    {"train": (pictures, labels), "validation": ..., "test": ..., "classes": ["cat", "dog"], "layout": "NHWK"}

All but `train` may be left out. A set is a pair of arrays, or a map-style data set whose items are (picture, label).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from trainables.config import DataSettings, call_own, check_call, own_object
from trainables.datasets.own_pictures import LAYOUTS, as_pictures
from trainables.datasets.source import Pictures
from trainables.errors import DataError, nearest
from trainables.pictures import Split

_SETS = ("train", "validation", "test")
_KEYS = (*_SETS, "classes", "layout")
_TEST_SHARE = 5  # one picture in five is split off where there is no test set


def check_own_data(settings: DataSettings) -> None:
    """Check that the function's file can be run and that the function takes the options; nothing is loaded.

    Raises:
        PolicyError: the file fails when it is run.
        ConfigError: there is no such function, or it does not take an option.
    """
    check_call(own_object(settings.name, settings.source, "data set"), settings.name, (), settings.options)


def read_own_data(settings: DataSettings) -> Pictures:
    """Call the function, with PyTorch's and NumPy's generators seeded, and turn what it returns into pictures.

    Raises:
        PolicyError, ConfigError: as `check_own_data`.
        DataError: the function fails, or returns something that cannot be read without a doubt.
    """
    check_own_data(settings)
    given = _call(settings)
    origin = settings.name
    if not isinstance(given, Mapping):
        raise DataError(
            f'{origin} must return a dict with "train" and, if you like, {", ".join(map(repr, _KEYS[1:]))}, but'
            f" returned {type(given).__name__}."
        )
    for key in given:
        if key not in _KEYS:
            raise DataError(
                f"{origin} returned {key!r}, but the keys are {', '.join(_KEYS)}.{nearest(str(key), _KEYS)}"
            )
    if given.get("train") is None:
        raise DataError(f'{origin} must return pictures to train on under "train", but returned {list(given)}.')
    layout = given.get("layout")
    if layout is not None and layout not in LAYOUTS:
        raise DataError(f'{origin} must return "layout" as one of {", ".join(LAYOUTS)}, but returned {layout!r}.')
    sets = {name: _split(settings, given[name], name, layout) for name in _SETS if given.get(name) is not None}
    shapes = {name: split.images.shape[1:] for name, split in sets.items()}
    if len(set(shapes.values())) > 1:
        told = ", ".join(f"{name} {'×'.join(map(str, shape))}" for name, shape in shapes.items())
        raise DataError(
            f"{origin}: pictures of all sets must have one shape (channels × height × width), but have {told}; resize"
            " or convert them in the function."
        )
    return Pictures(
        classes=_classes(origin, given.get("classes"), sets),
        training=sets["train"],
        validation=sets.get("validation"),
        test=sets.get("test"),
        default_test_size=0 if "test" in sets else -(-len(sets["train"]) // _TEST_SHARE),
    )


def _call(settings: DataSettings) -> Any:
    import torch

    function = own_object(settings.name, settings.source, "data set")
    before = np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        np.random.seed(0)
        try:
            return call_own(settings.name, "loading the data", lambda: function(**settings.options), DataError)
        finally:
            np.random.set_state(before)


def _split(settings: DataSettings, given: Any, name: str, layout: str | None) -> Split:
    def read() -> Split:
        pictures, labels = _parts(given)
        images = as_pictures(pictures, layout)
        return Split(images=images, labels=_labels(labels, len(images)))

    try:
        return call_own(settings.name, f"reading the {name} set", read, DataError)
    except DataError as error:
        raise DataError(f"{settings.name}, {name} set: {error}") from error


def _parts(given: Any) -> tuple[Any, Any]:
    """Return the pictures and the labels of a set."""
    if isinstance(given, tuple | list) and len(given) == 2:
        return given[0], given[1]
    if not hasattr(given, "__getitem__") or not hasattr(given, "__len__") or isinstance(given, Mapping | str | tuple):
        raise DataError(
            "a set must be a pair (pictures, labels), or a map-style data set whose items are (picture, label), but is"
            f" {type(given).__name__}."
        )
    items = [given[place] for place in range(len(given))]
    if not all(isinstance(item, tuple | list) and len(item) == 2 for item in items):
        raise DataError("the items of a data set must be pairs (picture, label).")
    return [picture for picture, _ in items], [label for _, label in items]


def _labels(given: Any, count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    if hasattr(given, "detach"):
        given = given.detach().cpu().numpy()
    labels = np.asarray([np.asarray(label) for label in given] if isinstance(given, list) else given)
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(
            f"labels must be whole numbers, the classes from 0 on, one for each picture, but are {labels.dtype} of"
            f" shape {labels.shape}; turn names into numbers, and rows of ones and zeros by `argmax(1)`."
        )
    if len(labels) != count:
        raise DataError(f"there are {count:,} pictures but {len(labels):,} labels; return one label for each picture.")
    if count == 0:
        raise DataError("there is no picture; return at least one of each class.")
    return labels.astype(np.int64)


def _classes(origin: str, given: Any, sets: Mapping[str, Split]) -> tuple[str, ...]:
    """Return the classes' names; without names they are numbered."""
    lowest = min(int(split.labels.min()) for split in sets.values())
    needed = max(int(split.labels.max()) for split in sets.values()) + 1
    if lowest < 0:
        raise DataError(f"{origin}: labels must be classes from 0 on, but there is a label {lowest}; number them anew.")
    if given is None:
        return tuple(map(str, range(needed)))
    names = tuple(map(str, given))
    if len(set(names)) != len(names) or len(names) < needed:
        raise DataError(
            f'{origin}: "classes" must have a name of its own for each label from 0 to {needed - 1}, but has'
            f" {len(set(names))} names, {', '.join(names[:5])}{', …' if len(names) > 5 else ''}."
        )
    return names
