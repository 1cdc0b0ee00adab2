"""Reads a search as Python code gives it: a file, a recipe, a dict or settings, with some settings replaced."""

from __future__ import annotations

import copy
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from search.settings.search_file import SearchConfig, config_from, text_of, values_of

SearchSource = str | os.PathLike[str] | Mapping[str, Any] | SearchConfig
"""A search file or a recipe by name, the contents of a search file, or settings."""


def given_config(
    source: SearchSource,
    overrides: Mapping[str, Any] | None = None,
    own_policies: Sequence[str] = (),
) -> SearchConfig:
    """Read a search that a user's code describes.

    Args:
        source: the search. Files that a dict names are relative to the working directory.
        overrides: settings to replace, by their dotted names: `{"training.epochs": 5}`.
        own_policies: further rules of the user's own, `my_rules.py:MyRule`, relative to the working directory.

    Raises:
        SearchError: there is no such file or recipe, it is not TOML, or an override names a part of a value.
        PolicyError: a rule or a KPI of the user's own cannot be loaded.
        ConfigError: a setting is unknown or invalid.
    """
    values, folder = _values(source)
    return config_from(values, own_policies, overrides=overrides or {}, folder=folder)


def _values(source: SearchSource) -> tuple[dict[str, Any], pathlib.Path]:
    """Return the contents of a search file, and the folder that its names are relative to."""
    if isinstance(source, SearchConfig):
        given = source.model_dump(mode="json")
        return {name: value for name, value in given.items() if value is not None}, pathlib.Path()
    if isinstance(source, Mapping):
        return copy.deepcopy(dict(source)), pathlib.Path()
    path = os.path.expanduser(source)
    return values_of(text_of(path), path), pathlib.Path(path).parent
