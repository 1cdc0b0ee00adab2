"""`kd-search worth`."""

from __future__ import annotations

import contextlib
import json
import pathlib
import sys
from typing import TYPE_CHECKING, Any

import click

from search.cli.actions import confirm_with, search_with, source_of
from search.cli.options import config_of, launch_of, pace, places, skip_bad
from search.recipes import recipe_names
from search.settings import Launch, SearchConfig, next_command
from search.store import SearchStore, check_unchanged

if TYPE_CHECKING:
    from search.evidence import ReportSource


@click.command()
@click.argument("source", metavar="NAME|FILE|RECIPE")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting of the file or recipe."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@skip_bad
@pace
@places
def worth(source: str, overrides: tuple[str, ...], as_json: bool, skip_bad: bool, **places: Any) -> None:
    """Show whether distillation is worth it: the best rule or constant against training on the labels alone.

    NAME is a search. For a search file or a recipe, the command first searches and confirms its best constant λ,
    without any rule, as the search NAME-worth; a second call resumes or reads it.
    """
    launch, name = launch_of(places), source
    is_file = source in recipe_names() or pathlib.Path(source).suffix == ".toml"
    if overrides or (is_file and not SearchStore(launch.storage, source).exists()):
        config = config_of(source, {"overrides": overrides, "skip_bad": skip_bad}).constants_alone()
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            page = _confirmed_once(config, launch)
        name = config.name
    else:
        page = source_of(name, launch)
    found = page.judgement.worth
    command = page.command if found.kind == "unconfirmed" else ""
    if found.settling is not None and found.settling.seeds is not None:
        command = f"{next_command('confirm', name, launch)} --seeds {found.settling.seeds}"
    if as_json:
        click.echo(json.dumps({**found.model_dump(mode="json"), "command": command}, indent=2))
        return
    click.echo(found.text)
    if found.settling is not None and found.settling.seeds is None:
        click.echo(found.settling.text)
    if command:
        click.echo(f"  {command}")


def _confirmed_once(config: SearchConfig, launch: Launch) -> ReportSource:
    """Search and confirm, or resume either, unless both are done; return all that a report is made from."""
    store = SearchStore(launch.storage, config.name)
    if store.exists():
        check_unchanged(config, store.config())
        done = source_of(config.name, launch)
        if done.search.status == "finished" and done.judgement.is_confirmed:
            return done
    search_with(config, launch, resume=True, confirming=True)
    confirm_with(config.name, launch, config.confirm)
    return source_of(config.name, launch)
