"""`kd-search policies` and `recipes`."""

from __future__ import annotations

import json
import shutil
import sys

import click

from policies.aliases import ALIASES, meaning
from policies.extensions import load_all_installed, register_policy
from policies.own_file import load_policy_class
from policies.testing import clauses_of
from search.cli.catalogue import catalogue, entry_of, print_entry, short_catalogue
from search.recipes import read_recipe, recipe_names


@click.command()
@click.argument("name", required=False)
@click.option("--all", "whole", is_flag=True, help="Show every family in full.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--policy", "own", multiple=True, metavar="FILE.py:CLASS", help="Also list a rule of your own.")
@click.option("--check", "checked", metavar="FILE.py:CLASS", help="Only check a rule of your own against the contract.")
def policies(name: str | None, whole: bool, as_json: bool, own: tuple[str, ...], checked: str | None) -> None:
    """List the families of λ rules; with NAME, show one family's parameters, ranges and source."""
    if checked is not None:
        _check_policy(checked)
        return
    for reference in own:
        register_policy(load_policy_class(reference))
    for problem in load_all_installed().values():
        click.echo(f"skipped: {problem}", err=True)
    if as_json:
        click.echo(json.dumps(catalogue() if name is None else entry_of(name), indent=2, ensure_ascii=False))
    elif name is not None:
        if name in ALIASES:
            click.echo(f"{name} is an alias of {meaning(name)}.")
        print_entry(entry_of(name))
    elif whole:
        for entry in catalogue():
            print_entry(entry)
            click.echo()
    else:
        click.echo(short_catalogue(shutil.get_terminal_size().columns if sys.stdout.isatty() else None))


def _check_policy(reference: str) -> None:
    """Print which clauses of the contract a rule keeps; the exit code is 1 if it breaks one."""
    policy = load_policy_class(reference)
    broken = 0
    for clause in clauses_of(policy):
        try:
            clause(policy)
        except AssertionError as error:
            broken += 1
            click.echo(f"broken  {clause.__doc__}\n        {error}")
        else:
            click.echo(f"kept    {clause.__doc__}")
    if broken:
        sys.exit(1)


@click.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the recipes, or print one, as a start for a search file of your own."""
    click.echo(read_recipe(name) if name else "\n".join(recipe_names()))
