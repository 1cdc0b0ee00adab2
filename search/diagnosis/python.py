"""Diagnoses a search from Python code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from search.diagnosis.record import Diagnosis
from search.progress import listener_for
from search.records import Listener
from search.settings import Launch, SearchSource, given_config

_Path = str | os.PathLike[str]


def diagnose(
    source: SearchSource = "digits-quick",
    overrides: Mapping[str, Any] | None = None,
    *,
    seeds: int = 3,
    progress: bool | Listener = True,
    output: _Path | None = None,
    cache: _Path | None = None,
    data_root: _Path | None = None,
) -> Diagnosis:
    """Say from a few trainings, before any search, whether λ will matter; in this process, without Ray.

    The files of `kd-search diagnose` are written too, to `<output>/<name>/diagnosis`.

    Args:
        source: a search file, a recipe's name, the contents of a search file as a dict, or settings.
        overrides: settings to replace, by their dotted names.
        seeds: of every arm, at least 2.
        progress: True shows the progress, False does not; a listener receives the events.
        output: local folder of results, by default `runs`.
        cache: folder of trained teachers and data sets, by default `KD_SEARCH_CACHE` or the user's cache.
        data_root: folder of data sets, by default `KD_SEARCH_DATA` or `data` in `cache`.

    Raises:
        SearchError: the labels alone give no student that stays finite, or the files cannot be written.
        KDPolicySearchError: a setting is wrong, or data, teacher or device are not available.
    """
    config = given_config(source, dict(overrides or {}), ())
    launch = Launch.of(output, cache=cache, data_root=data_root)
    from search.diagnosis.files import write_diagnosis
    from search.diagnosis.run import diagnose_config  # takes seconds

    found = diagnose_config(config, launch, listener_for(progress), seeds=seeds)
    write_diagnosis(found, launch.output / found.name / "diagnosis")
    return found
