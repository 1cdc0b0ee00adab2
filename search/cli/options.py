"""Options that commands share, and what they mean."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from search.cluster import CONFIG_VARIABLE
from search.settings import (
    DEFAULT_EXPERIMENT,
    DEFAULT_OUTPUT,
    Launch,
    SearchConfig,
    default_cache,
    default_data_root,
    default_tracking_uri,
    load_config,
    without_password,
)
from search.store import SearchStore

_Command = TypeVar("_Command", bound=Callable[..., Any])
shown_option = functools.partial(click.option, show_envvar=True)
"""An option whose environment variable is shown in the help, and in the message where the option is missing."""


def places(command: _Command) -> _Command:
    """Add the options that say where searches, data and teachers lie."""
    cache = default_cache()
    options = [
        click.option("--output", default=str(DEFAULT_OUTPUT), show_default=True, help="Local folder of results."),
        click.option("--storage", help="Place of the searches; on a cluster a shared folder or s3:// [--output]."),
        shown_option(
            "--cache",
            default=lambda: str(default_cache()),
            envvar="KD_SEARCH_CACHE",
            help=f"Folder of trained teachers [{cache}].",
        ),
        shown_option("--data-root", envvar="KD_SEARCH_DATA", help="Folder of downloaded data sets [<cache>/data]."),
        shown_option(
            "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow store [sqlite:///<output>/mlflow.db]."
        ),
        click.option("--experiment", help=f"MLflow experiment [the search's own, or else {DEFAULT_EXPERIMENT}]."),
    ]
    return _with(options, command)


def pace(command: _Command) -> _Command:
    """Add the options that say how often a trial reports and saves itself."""
    options = [
        click.option("--report-seconds", default=5.0, show_default=True, help="Seconds between a trial's reports."),
        click.option("--checkpoint-seconds", default=30.0, show_default=True, help="Seconds between its checkpoints."),
    ]
    return _with(options, command)


def _with(options: Sequence[Callable[[_Command], _Command]], command: _Command) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


def own_policies(command: _Command) -> _Command:
    """Add the option that adds rules of the user's own."""
    option = click.option(
        "--policy", "policies", multiple=True, metavar="FILE.py:CLASS", help="Also search a rule of your own."
    )
    return _with([option], command)


def launch_of(places: dict[str, Any], address: str | None = None) -> Launch:
    """Make the launch that the options of `places` and `pace` describe."""
    output = pathlib.Path(places["output"]).expanduser()
    storage = places["storage"] or str(output)
    cache = pathlib.Path(places["cache"]).expanduser()
    return Launch(
        output=output,
        storage=storage if "://" in storage else os.path.expanduser(storage),
        address=address,
        tracking_uri=places["tracking_uri"] or default_tracking_uri(output),
        experiment=places["experiment"] or DEFAULT_EXPERIMENT,
        cache=cache / "teachers",
        data_root=pathlib.Path(places["data_root"] or default_data_root(cache)).expanduser(),
        **{name: places[name] for name in ("report_seconds", "checkpoint_seconds") if name in places},
    )


def config_of(
    source: str,
    overrides: tuple[str, ...],
    name: str | None,
    gpus_per_trial: float | None,
    cpus_per_trial: float | None,
    policies: Sequence[str],
) -> SearchConfig:
    """Read the search that a command's arguments describe.

    Raises:
        click.UsageError: SOURCE is `-`, and no search stands in the environment.
        SearchError: the search file is missing or wrong; the message names the setting.
    """
    # Quoted, since 2024 would be a number and true a truth.
    text = None if name is None else json.dumps(name, ensure_ascii=False)
    settings = {"name": text, "resources.gpus_per_trial": gpus_per_trial, "resources.cpus_per_trial": cpus_per_trial}
    given = [f"{key}={value}" for key, value in settings.items() if value is not None]
    if source == "-":
        if CONFIG_VARIABLE not in os.environ:
            raise click.UsageError(f"`-` reads the search from {CONFIG_VARIABLE}, which is not set.")
        return SearchConfig.parse(json.loads(os.environ[CONFIG_VARIABLE]))
    return load_config(source, [*overrides, *given], policies)


def tracked_as_before(launch: Launch, store: SearchStore, places: dict[str, Any]) -> Launch:
    """Take the MLflow store and experiment that a search began with, unless the options name others."""
    header = store.read_header()
    uri = launch.tracking_uri if places["tracking_uri"] else header["tracking_uri"]
    experiment = places["experiment"] or header["experiment"]
    anew = (without_password(uri), experiment) != (header["tracking_uri"], header["experiment"])
    return dataclasses.replace(launch.tracked_at(uri, experiment), tracked_anew=anew)
