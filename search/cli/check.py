"""`kd-search check`, which `kd-search run --dry-run` is for the same arguments."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from search.cli.options import config_of, launch_of, own_policies, places, skip_bad
from search.progress import Terminal, TerminalListener
from search.records import SearchRecord
from search.settings import Launch, SearchConfig
from search.store import check_config
from search.wording import count, duration, setting_title

if TYPE_CHECKING:
    from search.prepare import Rehearsal

_CONSTANTS_CONFIRMED = 3
"""Constants that a confirmation usually trains beside `confirm.more_constants`: the best one, λ = 0 and λ = 1."""


@click.command()
@click.argument("source")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, e.g. replicates=5.")
@skip_bad
@own_policies
@places
def check(source: str, **options: Any) -> None:
    """Check a search before anything is spent: SOURCE is a search file (.toml) or a recipe's name.

    The command reads the data, asks the teacher, and trains the student twice for a few seconds. It tells what will be
    searched, whether a training can be repeated, how many trainings and steps there are, and how long they will take.
    It starts no trial and opens no test set. It writes nothing but caches, of a teacher that is trained for instance.
    The exit code is 1 if a training cannot be repeated.
    """
    check_with(config_of(source, options), launch_of(options))


def check_with(
    config: SearchConfig, launch: Launch, *, confirming: bool = False, kept: SearchRecord | None = None
) -> None:
    """Check a search and print what it will take.

    Args:
        config: the search.
        launch: its places.
        confirming: a confirmation is to follow, so its trainings are told too.
        kept: what a search that resumes has done already.

    Raises:
        SystemExit: with code 1 if a training cannot be repeated.
    """
    check_config(config, launch)
    # What trains takes seconds to import.
    from search.prepare import rehearse

    found = rehearse(config, launch, TerminalListener(Terminal()))
    for line in (
        _searched(config),
        "Repeatable: two trainings under one seed gave the same student to the last bit."
        if found.repeatable
        else "Whether a training can be repeated is not checked on a GPU."
        if found.repeatable is None
        else "NOT repeatable: two trainings under one seed differ. Rules are then compared under different noise; draw"
        " all random numbers from generators that the seed decides.",
        *found.remarks,
        *([] if confirming else ["A confirmation comes on top; `kd-search run … --dry-run --confirm` tells its cost."]),
        *_cost(config, found, confirming=confirming, done=0 if kept is None else _done(config, kept)),
    ):
        click.echo(line)
    if found.repeatable is False:
        sys.exit(1)


def _cost(config: SearchConfig, found: Rehearsal, *, confirming: bool, done: int) -> list[str]:
    cores = max(1, int(len(os.sched_getaffinity(0)) / config.resources.cpus_per_trial))
    at_a_time = min(cores, config.resources.max_concurrent or cores)
    seconds = max(0.1, found.seconds)
    steps, trainings = found.steps, found.trainings
    lines = [
        f"The search trains at most {count(trainings, 'student')} for {count(steps, 'step')} each,"
        f" {trainings * steps:,} in all.",
        f"A step takes {_milliseconds(seconds / steps)}, so one training takes about {duration(seconds)} and the search"
        f" at most about {duration(found.search_seconds(at_a_time))} with {at_a_time} at a time here, if the machine"
        " stays as busy as now; its start comes on top.",
    ]
    if done:
        left = max(0, trainings - done)
        lines.append(
            f"Of these trainings {done:,} {'has' if done == 1 else 'have'} ended, so at most {left:,} are left: about"
            f" {duration(found.seconds_of(left, at_a_time))}."
        )
    if config.budget_seconds is not None:
        lines.append(_within(config, found, at_a_time, config.budget_seconds))
    if confirming:
        finalists = len(config.rule_families) + config.confirm.more_constants + _CONSTANTS_CONFIRMED
        finalists += len(config.confirm.constants)
        more = finalists * config.confirm.seeds
        lines.append(
            f"The confirmation trains about {count(more, 'student')} more, {finalists} finalists on"
            f" {config.confirm.seeds} seeds each: about {duration(found.seconds_of(more, at_a_time))}."
        )
    return lines


def _done(config: SearchConfig, kept: SearchRecord) -> int:
    """Count the trainings of a search that need not be done again; a failed trial's first heat counts."""
    first = len(config.heats[0].seeds)
    return sum(max(len(trial.seeds), first if trial.status == "failed" else 0) for trial in kept.trials)


def _within(config: SearchConfig, found: Rehearsal, at_a_time: int, budget: float) -> str:
    """Say how many rounds a budget will probably allow."""
    from search.plan import Plan

    plan = Plan(config)
    fit = [
        rounds
        for rounds in range(1, config.trials_per_family + 1)
        if found.seconds_of(plan.trainings(rounds), at_a_time) <= budget
    ]
    rounds = max(fit, default=1)
    if rounds == config.trials_per_family:
        return f"The budget of {config.budget} is enough for all {count(rounds, 'round')}."
    return (
        f"The budget of {config.budget} is enough for about {rounds:,} of {count(config.trials_per_family, 'round')},"
        f" which is {count(rounds, 'rule')} of each family."
    )


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms"


def _searched(config: SearchConfig) -> str:
    shared = [setting_title(name) for name in config.space.shared]
    also = f"; {', '.join(shared)} alike for all" if shared else ""
    families = config.rule_families
    return (
        f"Searched: {len(families)} {'family' if len(families) == 1 else 'families'} of rules ({', '.join(families)}),"
        f" {count(config.trials_per_family, 'rule')} each, against the best constant λ{also}. The score is"
        f" {config.objective}, to {config.direction}."
    )
