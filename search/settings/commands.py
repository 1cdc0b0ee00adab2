"""Spells the commands that messages suggest, with the options that they need to find the same places."""

from __future__ import annotations

import pathlib
import shlex

from search.settings.launch import DEFAULT_OUTPUT, Launch, default_cache, default_data_root
from search.settings.tracking_uri import without_password

_TRAINING = ("resume", "confirm", "transfer")
"""Commands that train: they need the teacher, the data and the cluster again."""
_TRACKING = ("confirm", "transfer", "sync", "ui")
"""Commands that use the MLflow store that the search began with, unless another one is named."""


def next_command(verb: str, name: str, places: Launch | str | None = None) -> str:
    """Spell a command that is to be typed in the same folder: `kd-search resume mine --output /data/mine`.

    Options that have their defaults, or come from the environment, are left out.

    Args:
        verb: `resume`, `confirm`, …
        name: the search, or whatever else the command takes.
        places: the search's places, or its storage alone if no more is known; None for the defaults.
    """
    return shlex.join(["kd-search", verb, name, *_options(verb, places)])


def _options(verb: str, places: Launch | str | None) -> list[str]:
    if places is None:
        return []
    if isinstance(places, str):
        if "://" in places:
            return ["--storage", places]
        return [] if pathlib.Path(places) == DEFAULT_OUTPUT else ["--output", places]
    options = [] if places.output == DEFAULT_OUTPUT else ["--output", str(places.output)]
    if places.storage != str(places.output):
        options += ["--storage", places.storage]
    if verb in _TRAINING:
        cache = places.cache.parent
        if places.address is not None:
            options += ["--address", places.address]
        if cache != default_cache():
            options += ["--cache", str(cache)]
        if places.data_root != default_data_root(cache):
            options += ["--data-root", str(places.data_root)]
    if verb in _TRACKING and places.tracked_anew:
        options += ["--tracking-uri", without_password(places.tracking_uri), "--experiment", places.experiment]
    return options
