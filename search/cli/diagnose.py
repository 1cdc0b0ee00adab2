"""`kd-search diagnose`."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import click

from search.cli.options import config_of, launch_of, places, skip_bad
from search.progress import Terminal, TerminalListener
from search.store import check_config


@click.command()
@click.argument("source")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting of the file.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(2, 100), help="Trainings of each arm.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@skip_bad
@places
def diagnose(source: str, overrides: tuple[str, ...], seeds: int, as_json: bool, skip_bad: bool, **places: Any) -> None:
    """Say from a few trainings, before any search, whether λ will matter; SOURCE is a search file or a recipe's name.

    The command trains five constants and three rules on a few seeds each, looks at teacher, labels and gradients, and
    answers: tune a constant, try per-sample rules, try rules that watch gradients, or distillation will not help; with
    the expected size, the reasons and the lines for the search file. It runs in this process, without Ray.
    """
    launch = launch_of(places)
    config = config_of(source, {"overrides": overrides, "skip_bad": skip_bad})
    check_config(config, launch)
    # What trains and draws takes seconds to import.
    from search.diagnosis import diagnose_config, diagnosis_text, write_diagnosis

    listener = TerminalListener(Terminal())
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        try:
            found = diagnose_config(config, launch, listener, seeds=seeds)
        except KeyboardInterrupt:
            raise click.Abort from None  # nothing is written before all is known
        finally:
            listener.end()
    folder = write_diagnosis(found, launch.output / found.name / "diagnosis")
    if as_json:
        click.echo(found.model_dump_json(indent=2))
        return
    click.echo(diagnosis_text(found))
    click.echo(f"diagnosis: {folder}")
