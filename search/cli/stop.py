"""`kd-search stop`."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from search.cli.options import launch_of, places, shown_option
from search.cluster import Jobs
from search.errors import SearchError
from search.records import ENDED
from search.run import read_record
from search.settings import DASHBOARD_VARIABLE, Launch, next_command
from search.store import Runner, SearchStore, StopRequests

_NOT_RUNNING = 1
_SECONDS_TO_NOTICE = 30.0
"""A driver looks for requests four times a second, but PyTorch's import or a busy machine may hold it up."""
_SECONDS_TO_SAVE = 240.0
_SECONDS_BETWEEN_LOOKS = 0.25


@click.command()
@click.argument("name")
@shown_option("--address", envvar=DASHBOARD_VARIABLE, help="Ray dashboard of a submitted search: http://host:8265.")
@places
@click.pass_context
def stop(context: click.Context, /, name: str, address: str | None, **places: Any) -> None:
    """Stop a search or its confirmation as Ctrl-C would, from any shell; finished trainings are kept.

    The search may run on this machine, on one that shares its folder, or on a cluster, if it was submitted. A second
    `stop` ends a search at once that is still saving. The exit code is 1 if the search is not running.
    """
    launch = launch_of(places)
    store = SearchStore(launch.storage, name)
    named = context.get_parameter_source("address") is click.core.ParameterSource.COMMANDLINE
    if address is not None and (named or store.is_running() is not True):
        click.echo(f"job ended as {Jobs(address).stop(name)}; `kd-search submit` with the same name resumes it")
        return
    folder = store.local_folder
    if folder is None:
        raise SearchError(
            f"a search in an object store, {store.uri}, cannot be stopped from here: press Ctrl-C where it runs, or"
            " give the cluster that it was submitted to with `--address`."
        )
    if store.is_running() is False:
        record = read_record(name, launch)  # a name that is not known is a mistake
        click.echo(f"the search {name!r} is not running; it is {record.status}", err=True)
        sys.exit(_NOT_RUNNING)
    requests = StopRequests(folder)
    runner = requests.runner()
    _ask(requests, store, runner)
    click.echo(f"asked{_told_of(runner)} to stop; it saves what has ended")
    if not _ended(store, _SECONDS_TO_SAVE):
        raise SearchError(
            f"the search {name!r} is still saving after {_SECONDS_TO_SAVE:.0f} s; the same command again ends it at"
            " once, and loses nothing that has ended."
        )
    click.echo(_outcome(store, launch, runner))


def _ask(requests: StopRequests, store: SearchStore, runner: Runner | None) -> None:
    """Ask the process that runs a search to stop; raise SearchError if it cannot be asked or does not notice."""
    try:
        requests.ask()
    except OSError as error:
        raise SearchError(
            f"the search {store.name!r} cannot be asked to stop: {error}. Do it as the user who runs it, or press"
            " Ctrl-C there."
        ) from error
    deadline = time.monotonic() + _SECONDS_TO_NOTICE
    try:
        while requests.is_waiting() and store.is_running() is not False:
            if time.monotonic() > deadline:
                raise SearchError(
                    f"the search {store.name!r} is locked, but nothing{_told_of(runner)} answered within"
                    f" {_SECONDS_TO_NOTICE:.0f} s. It may hang, or be run by an earlier release or by a thread of a"
                    " Python program: end that process where it runs. Finished trainings are kept."
                )
            time.sleep(_SECONDS_BETWEEN_LOOKS)
    finally:
        requests.withdraw()


def _told_of(runner: Runner | None) -> str:
    return "" if runner is None else f" (process {runner.pid} on {runner.host})"


def _ended(store: SearchStore, seconds: float) -> bool:
    """Wait until no process runs the search; return False if one still does."""
    deadline = time.monotonic() + seconds
    while store.is_running() is not False:
        if time.monotonic() > deadline:
            return False
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    return True


def _outcome(store: SearchStore, launch: Launch, runner: Runner | None) -> str:
    """Say what is kept of a search that has ended, and how to resume it."""
    if not store.exists():
        return "stopped before its first training; nothing was stored"
    record = read_record(store.name, launch)
    kept = sum(trial.status in ENDED for trial in record.trials)
    if runner is not None and runner.command == "transfer":
        return "stopped the transfer; its finished trainings are kept; the command that began it resumes it"
    if runner is not None and runner.command == "confirm":
        command = next_command("confirm", store.name, launch)
        return f"stopped the confirmation; its finished trainings are kept; resume it with: {command}"
    if record.status == "finished":
        return f"it had finished: all of its {kept} trials are kept"
    command = next_command("resume", store.name, launch)
    return f"stopped; {kept} of at most {record.planned} trials are kept; resume it with: {command}"
