"""The commands that messages tell to type, with the options without which they would look in other places."""

from __future__ import annotations

import pathlib
import shlex

from search.settings.launch import DEFAULT_OUTPUT, Launch, default_cache, default_data_root
from search.settings.tracking_uri import without_password

_TRAINING = ("resume", "confirm")
"""What trains needs the teacher, the data and the cluster again."""
_TRACKING = ("confirm", "sync")
"""What takes the MLflow store that the search began with, unless another one is named."""


def next_command(verb: str, name: str, places: Launch | str | None = None) -> str:
    """A command as it is to be typed in the same folder: `kd-search resume mine --output /data/mine`.

    What stands at its default, or comes from the environment, is left out.

    Args:
        verb: `resume`, `confirm`, …
        name: of the search; whatever the command takes.
        places: of the search, or its storage alone where no more is known; None for the usual ones.
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
