"""Runs and opens searches from Python code."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from search.cluster import let_threads_sleep
from search.errors import SearchError
from search.progress import listener_for
from search.records import Listener
from search.run.before import check_start
from search.run.found import Search
from search.settings import Launch, SearchSource, given_config
from search.store import SEARCH_FILE, SearchStore

_Path = str | os.PathLike[str]


def run(
    source: SearchSource = "digits-quick",
    overrides: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
    policies: Sequence[str] = (),
    resume: bool = False,
    progress: bool | Listener = True,
    output: _Path | None = None,
    storage: _Path | None = None,
    cache: _Path | None = None,
    data_root: _Path | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    address: str | None = None,
) -> Search:
    """Run a search to its end, and return it. Ctrl-C, or a notebook's stop button, returns it as it is by then.

    Args:
        source: a search file, a recipe's name, the contents of a search file as a dict, or settings. Files that a dict
            names are relative to the working directory.
        overrides: settings to replace, by their dotted names: `{"training.epochs": 5}`.
        name: of the search, in place of the one in `source`.
        policies: further rules of the user's own: `["my_rules.py:MyRule"]`.
        resume: resume a search of this name if there is one; else its name must be new.
        progress: True shows the progress, False does not; a listener receives the events.
        output: local folder of results, by default `runs`.
        storage: place of the searches, by default `output`; on a cluster a shared folder or `s3://…`.
        cache: folder of trained teachers and data sets, by default `KD_SEARCH_CACHE` or the user's cache.
        data_root: folder of data sets, by default `KD_SEARCH_DATA` or `data` in `cache`.
        tracking_uri: MLflow's store, by default `MLFLOW_TRACKING_URI` or a file in `output`.
        experiment: MLflow's experiment.
        address: a running Ray cluster that this machine is part of; None starts Ray here.

    Raises:
        SearchError: a search of this name exists already, or all trials failed.
        KDPolicySearchError: a setting is wrong, or data, teacher, cluster or tracking store is not available.
    """
    config = given_config(source, {**(overrides or {}), **({} if name is None else {"name": name})}, policies)
    launch = Launch.of(
        output, storage=storage, cache=cache, data_root=data_root, tracking_uri=tracking_uri, experiment=experiment,
        address=address,
    )  # fmt: skip
    let_threads_sleep()
    config, resumed = check_start(config, launch, resume=resume)
    store = SearchStore(launch.storage, config.name)
    if store.exists() and not resumed:
        raise SearchError(
            f"a search {config.name!r} exists already in {launch.storage!r}. Resume it with `resume=True`, open it with"
            f" `search.open({config.name!r})`, or give the new one another name with `name=…`."
        )
    listener = listener_for(progress)
    from search.run.search import resume_search, run_search  # takes seconds

    if resumed:
        launch = store.tracked_launch(launch, _tracking_uri(tracking_uri), experiment)
        resume_search(config.name, launch, listener, config)
    else:
        run_search(config, launch, listener)
    return Search(config.name, launch).ended(listener)


def open(  # noqa: A001 - `search.open` opens a search, as `open` opens a file
    search: _Path,
    *,
    output: _Path | None = None,
    storage: _Path | None = None,
    cache: _Path | None = None,
    data_root: _Path | None = None,
    tracking_uri: str | None = None,
    experiment: str | None = None,
    address: str | None = None,
) -> Search:
    """Open a search that has begun, whatever its state.

    Args:
        search: its name, or its folder (`runs/mine`) or URI (`s3://bucket/searches/mine`).
        output: local folder of results, by default `runs`, or the one that holds the search's folder.
        storage: place of the searches, by default `output`.
        cache: folder of trained teachers and data sets; a resume and a confirmation need it.
        data_root: folder of data sets; likewise.
        tracking_uri: MLflow's store, by default the one that the search began with.
        experiment: MLflow's experiment, by default the one that the search began with.
        address: a running Ray cluster, for a resume or a confirmation.

    Raises:
        SearchError: there is no such search, or it is damaged.
    """
    place, name = _place_and_name(os.fspath(search), by_path=not isinstance(search, str))
    if place is not None and "://" in place:
        storage = place if storage is None else storage
    elif place is not None:
        output = place if output is None else output
    launch = Launch.of(output, storage=storage, cache=cache, data_root=data_root, address=address)
    store = SearchStore(launch.storage, name)
    return Search(name, store.tracked_launch(launch, _tracking_uri(tracking_uri), experiment))


def _place_and_name(search: str, *, by_path: bool) -> tuple[str | None, str]:
    """Split a search's folder or URI into the place that holds it and its name; a name alone has no place."""
    if "://" in search:
        place, _, name = search.rstrip("/").rpartition("/")
        return place, name
    folder = pathlib.Path(search).expanduser()
    if by_path or len(folder.parts) > 1 or (folder / SEARCH_FILE).is_file():
        return str(folder.absolute().parent) if folder.parent == pathlib.Path() else str(folder.parent), folder.name
    return None, search


def _tracking_uri(given: str | None) -> str | None:
    return given or os.environ.get("MLFLOW_TRACKING_URI")
