"""`kd-search sync` and `ui`."""

from __future__ import annotations

import functools
from typing import Any

import click

from search.cli.options import launch_of, places, tracked_as_before
from search.run import read_record
from search.settings import next_command, sqlite_path
from search.store import SearchStore
from search.tracking import check_tracking, serve_ui


@click.command()
@click.argument("name")
@places
def sync(name: str, **places: Any) -> None:
    """Write a search to MLflow again, e.g. after an outage or to another server; nothing is written twice."""
    launch = launch_of(places)
    store = SearchStore(launch.storage, name)
    launch = tracked_as_before(launch, store, places)
    check_tracking(launch.tracking_uri)
    path = sqlite_path(launch.tracking_uri)
    if path is not None and not path.exists():  # it may be wanted, or mistyped
        click.echo(f"there is no MLflow store {str(path)!r} yet; creating it", err=True)
    record = read_record(name, launch)
    from search.run import project, publish_champion, publish_report  # takes seconds

    page = publish_report(record, launch)
    publish_champion(record, store, launch)
    report = project(record, store, launch, page)
    click.echo(report)
    click.echo(f"MLflow: {report.address or next_command('ui', name, launch)}")


@click.command()
@click.argument("name", required=False)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65_535))
@places
def ui(name: str | None, host: str, port: int, **places: Any) -> None:
    """Open the MLflow UI on a search: NAME, or the newest in the searches' store."""
    launch = launch_of(places)
    if name is not None and not places["tracking_uri"]:
        launch = tracked_as_before(launch, SearchStore(launch.storage, name), places)
    say = functools.partial(click.echo, err=True)
    serve_ui(launch.tracking_uri, launch.experiment, click.echo, wait=say, search=name, host=host, port=port)
