"""`kd-search check`."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from search.cli.options import config_of, launch_of, own_policies, places
from search.progress import Terminal, TerminalListener
from search.settings import SearchConfig
from search.store import check_config
from search.wording import count, duration, setting_title


@click.command()
@click.argument("source")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, e.g. replicates=5.")
@own_policies
@places
def check(source: str, **options: Any) -> None:
    """Check a search before anything is spent: SOURCE is a search file (.toml) or a recipe's name.

    The command reads the data, asks the teacher, and trains the student twice for a few seconds. It tells what will be
    searched, whether a training can be repeated, and how long it will take. It starts no trial and opens no test set.
    The exit code is 1 if a training cannot be repeated.
    """
    config = config_of(source, options)
    launch = launch_of(options)
    check_config(config, launch)
    # What trains takes seconds to import.
    from search.prepare import rehearse

    found = rehearse(config, launch, TerminalListener(Terminal()))
    cores = max(1, int(len(os.sched_getaffinity(0)) / config.resources.cpus_per_trial))
    at_a_time = min(cores, config.resources.max_concurrent or cores)
    for line in (
        _searched(config),
        "Repeatable: two trainings under one seed gave the same student to the last bit."
        if found.repeatable
        else "Whether a training can be repeated is not checked on a GPU."
        if found.repeatable is None
        else "NOT repeatable: two trainings under one seed differ. Rules are then compared under different noise; draw"
        " all random numbers from generators that the seed decides.",
        *found.remarks,
        f"One training takes about {duration(max(0.1, found.seconds))}; the search trains at most"
        f" {count(found.trainings, 'student')}, so it takes at most about {duration(found.search_seconds(at_a_time))}"
        f" with {at_a_time} at a time here, its start and a confirmation apart.",
    ):
        click.echo(line)
    if found.repeatable is False:
        sys.exit(1)


def _searched(config: SearchConfig) -> str:
    shared = [setting_title(name) for name in config.space.shared]
    also = f"; {', '.join(shared)} alike for all" if shared else ""
    families = config.rule_families
    return (
        f"Searched: {len(families)} {'family' if len(families) == 1 else 'families'} of rules ({', '.join(families)}),"
        f" {count(config.trials_per_family, 'rule')} each, against the best constant λ{also}. The score is"
        f" {config.objective}, to {config.direction}."
    )
