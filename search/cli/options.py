"""Options that commands share, and what they mean."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from search.cluster import CONFIG_VARIABLE, settings_from
from search.settings import (
    DEFAULT_EXPERIMENT,
    DEFAULT_OUTPUT,
    Launch,
    SearchConfig,
    default_cache,
    load_config,
)
from search.store import SearchStore

_Command = TypeVar("_Command", bound=Callable[..., Any])
_PLACES = ("output", "storage", "cache", "data_root", "tracking_uri", "experiment")
"""The parameters that `places` adds."""
PACE = ("report_seconds", "checkpoint_seconds")
"""The parameters that `pace` adds."""
shown_option = functools.partial(click.option, show_envvar=True)
"""An option whose environment variable is shown in the help, and in the message where the option is missing."""
own_policies = click.option(
    "--policy", "policies", multiple=True, metavar="FILE.py:CLASS", help="Also search a rule of your own."
)
"""The option that adds rules of the user's own."""
skip_bad = click.option("--skip-bad", is_flag=True, help="Skip pictures that cannot be read, and say how many.")
"""The option that sets `data.skip_bad`."""


def places(command: _Command) -> _Command:
    """Add the options that say where searches, data and teachers lie."""
    return _with(
        command,
        click.option("--output", default=str(DEFAULT_OUTPUT), show_default=True, help="Local folder of results."),
        click.option("--storage", help="Place of the searches; on a cluster a shared folder or s3:// [--output]."),
        shown_option(
            "--cache",
            default=lambda: str(default_cache()),
            envvar="KD_SEARCH_CACHE",
            help=f"Folder of trained teachers [{default_cache()}].",
        ),
        shown_option("--data-root", envvar="KD_SEARCH_DATA", help="Folder of downloaded data sets [<cache>/data]."),
        shown_option(
            "--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow store [sqlite:///<output>/mlflow.db]."
        ),
        click.option("--experiment", help=f"MLflow experiment [the search's own, or else {DEFAULT_EXPERIMENT}]."),
    )


def pace(command: _Command) -> _Command:
    """Add the options that say how often a trial reports and saves itself."""
    return _with(
        command,
        click.option("--report-seconds", default=5.0, show_default=True, help="Seconds between a trial's reports."),
        click.option("--checkpoint-seconds", default=30.0, show_default=True, help="Seconds between its checkpoints."),
    )


def _with(command: _Command, *options: Callable[[_Command], _Command]) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


def launch_of(places: dict[str, Any], address: str | None = None) -> Launch:
    """Make the launch that the options of `places` and `pace` describe."""
    given: dict[str, Any] = {name: places[name] or None for name in _PLACES}
    return Launch.of(address=address, **given | {name: places[name] for name in PACE if name in places})


def config_of(source: str, options: dict[str, Any]) -> SearchConfig:
    """Read the search that a command's arguments describe.

    Args:
        source: a search file, a recipe's name, or `-` for a search that stands in the environment.
        options: the command's options, of which these are read: `overrides`, `name`, `gpus_per_trial`,
            `cpus_per_trial`, `skip_bad` and `policies`.

    Raises:
        click.UsageError: SOURCE is `-`, and no search stands in the environment.
        SearchError: the search file is missing or wrong; the message names the setting.
    """
    if source == "-":
        if CONFIG_VARIABLE not in os.environ:
            raise click.UsageError(f"`-` reads the search from {CONFIG_VARIABLE}, which is not set.")
        return settings_from(os.environ[CONFIG_VARIABLE])
    name = options.get("name")
    settings = {
        # Quoted, since 2024 would be a number and true a truth.
        "name": None if name is None else json.dumps(name, ensure_ascii=False),
        "resources.gpus_per_trial": options.get("gpus_per_trial"),
        "resources.cpus_per_trial": options.get("cpus_per_trial"),
        "data.skip_bad": "true" if options.get("skip_bad") else None,
    }
    given = [f"{key}={value}" for key, value in settings.items() if value is not None]
    return load_config(source, [*options["overrides"], *given], options.get("policies", ()))


def tracked_as_before(launch: Launch, store: SearchStore, places: dict[str, Any]) -> Launch:
    """Take the MLflow store and experiment that a search began with, unless the options name others."""
    return store.tracked_launch(launch, places["tracking_uri"], places["experiment"])
