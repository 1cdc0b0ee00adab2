"""`kd-search status`, `report` and `explain`."""

from __future__ import annotations

import json
from typing import Any

import click

from search.cli.actions import show
from search.cli.options import launch_of, places
from search.run import read_record, search_status, status_lines


@click.command()
@click.argument("name")
@click.option("--address", help="Ray dashboard of the cluster that runs it: http://host:8265.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@places
def status(name: str, address: str | None, as_json: bool, **places: Any) -> None:
    """Show a search's progress."""
    state = search_status(name, launch_of(places), address)
    if as_json:
        click.echo(json.dumps(state, indent=2))
        return
    click.echo("\n".join(status_lines(state)))


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@places
def report(name: str, as_json: bool, **places: Any) -> None:
    """Show which rule won, and write the search's HTML page."""
    launch = launch_of(places)
    record = read_record(name, launch)
    # What draws takes seconds to import, which a name that is not known need not wait for.
    from search.report import report_json
    from search.run import publish_report, report_source

    if as_json:
        click.echo(json.dumps(report_json(report_source(record, launch)), indent=2))
        return
    show(record, launch, publish_report(record, launch))


@click.command()
@click.argument("trial", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; draw no figure.")
@places
def explain(trial: str, as_json: bool, **places: Any) -> None:
    """Show what a rule did along a training, and why.

    RUN is a search's NAME (the trial that it recommends: the confirmed one, else the best), NAME/NUMBER (one of its
    trials), the path of a decisions.parquet or of a monitor's log, a folder that holds one, or runs:/ID (an MLflow
    run that a monitor wrote to).
    """
    from search.explain import explain as summarise
    from search.explain import explanation_json, explanation_text, find_source, write_figure

    source = find_source(trial, launch_of(places))
    explanation = summarise(source.log, source.title, source.remark, source.monitored)
    if as_json:
        click.echo(json.dumps(explanation_json(explanation), indent=2, ensure_ascii=False))
        return
    click.echo(explanation_text(explanation))
    click.echo("figure: {}, {}".format(*write_figure(source)))
