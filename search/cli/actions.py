"""Steps that several commands take: run or resume a search, confirm it, read it, show it."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import click

from search.cli.interruption import INTERRUPTED, interruptible
from search.progress import ConfirmationProgress, Terminal, TerminalListener
from search.run import check_start, read_record
from search.settings import ConfirmationSettings, Launch, ResourceSettings, SearchConfig, next_command
from search.store import SearchStore

if TYPE_CHECKING:
    from search.evidence import ReportSource
    from search.records import SearchRecord

NO_CHAMPION = 3
"""The exit code of a confirmation of which no finalist keeps every KPI gate."""


def search_with(
    config: SearchConfig, launch: Launch, *, resume: bool, confirming: bool = False, grown: bool = False
) -> None:
    """Run or resume a search and show its answer.

    Args:
        config: the search's settings.
        launch: the places where it runs and is kept.
        resume: resume a search of this name if there is one.
        confirming: a confirmation follows, so the answer need not name that command.
        grown: the settings are those with which a search that has begun is to continue, as `search.store.grown` says.

    Raises:
        SystemExit: with code 130 if the search was interrupted, with 1 if all of its trials failed.
    """
    config, resumed = check_start(config, launch, resume=resume, grown=grown)
    console = Terminal()
    listener = TerminalListener(console)
    store = SearchStore(launch.storage, config.name)
    with interruptible(console, listener.kept, lambda: _remedy(store, launch)) as interruption:
        # Ray Tune takes seconds to import, which a mistake need not wait for.
        from search.run import exit_code, resume_search, run_search

        if resumed:
            outcome = resume_search(config.name, launch, listener, config)
        else:
            outcome = run_search(config, launch, listener)
        confirmed_next = confirming and outcome.search.status == "finished"
        show(outcome.search, launch, outcome.page, with_remedy=not confirmed_next)
        click.echo(f"MLflow: {outcome.mlflow}")
    if outcome.search.status == "stopped":
        click.echo(_remedy(store, launch))
    # Whoever started it (a shell, KubeRay) must not take an interrupted search for finished.
    if code := INTERRUPTED if interruption.asked else exit_code(outcome.search):
        sys.exit(code)


def _remedy(store: SearchStore, launch: Launch) -> str:
    """Say how to go on with an interrupted search."""
    if not store.exists():
        return "nothing was stored yet; the same command begins again"
    command = next_command("resume", store.name, launch)
    if store.read_header()["status"] == "finished":
        return f"all trials have ended; write the report and MLflow's runs again with: {command}"
    return f"the search was interrupted; resume it with: {command}"


def confirm_with(
    name: str,
    launch: Launch,
    settings: ConfirmationSettings,
    resources: ResourceSettings | None = None,
    gates: Mapping[str, str] | None = None,
) -> None:
    """Confirm a search, show the verdict and publish it; see `search.confirm.confirm_search`.

    Raises:
        SystemExit: with code 130 if the confirmation was interrupted, with 1 if trainings failed, with 3 if no finalist
            keeps every KPI gate.
    """
    from search.confirm import confirm_search
    from search.evidence import judge
    from search.report import render_confirmation

    console = Terminal()
    listener = ConfirmationProgress(console)
    remedy = f"the confirmation was interrupted; resume it with: {next_command('confirm', name, launch)}"
    with interruptible(console, listener.kept, lambda: remedy) as interruption:
        confirmed = confirm_search(name, launch, listener, settings, resources, gates)
        search = read_record(name, launch)
        judgement = judge(search, confirmed.record)
        console.print(render_confirmation(confirmed.record, confirmed.failed, judgement))
        _publish_confirmation(search, launch)
    again = next_command("confirm", name, launch)
    leave_unless_whole(confirmed.failed, remedy if confirmed.interrupted else "", again, asked=interruption.asked)
    if judgement.lacks_champion:
        sys.exit(NO_CHAMPION)


def leave_unless_whole(failed: Collection[object], remedy: str, again: str, *, asked: bool) -> None:
    """Print how to go on, and leave, unless all trainings of a confirmation or transfer have ended well.

    Args:
        failed: the trainings that failed.
        remedy: says how to resume them; empty if they were not interrupted.
        again: the command that trains again what failed.
        asked: True if the user wanted the program to end.

    Raises:
        SystemExit: with code 130 if the user wanted it, with 1 if trainings failed.
    """
    if remedy:
        click.echo(remedy)
    if asked:
        sys.exit(INTERRUPTED)
    if failed:
        click.echo(f"retry the failed trainings with: {again}")
        sys.exit(1)


def _publish_confirmation(record: SearchRecord, launch: Launch) -> None:
    """Write report and champion, and log both to MLflow; if MLflow fails, print the `sync` command that catches up."""
    from search.run import publish_confirmation

    published = publish_confirmation(record, launch)
    click.echo(f"report: {published.page}")
    if published.champion is not None:
        click.echo(f"champion: {published.champion}")
    for line in published.not_exported:
        click.echo(line, err=True)
    if published.problem is not None:
        click.echo(f"{published.problem}\ncomplete it with: {next_command('sync', record.name, launch)}", err=True)


def source_of(name: str, launch: Launch) -> ReportSource:
    """Read all that a search's report is made from."""
    from search.run import report_source

    return report_source(read_record(name, launch), launch)


def show(record: SearchRecord, launch: Launch, page: pathlib.Path, *, with_remedy: bool = True) -> None:
    """Print a search's answer and the path of its page."""
    from search.report import render_report
    from search.run import report_source

    console = Terminal()
    source = report_source(record, launch)
    console.print(render_report(source, with_remedy=with_remedy), crop=False)
    click.echo(f"report: {page}")
