"""`kd-search run`, `resume` and `confirm`."""

from __future__ import annotations

from typing import Any

import click

from search.cli.actions import confirm_with, search_with
from search.cli.check import check_with
from search.cli.options import config_of, launch_of, own_policies, pace, places, skip_bad, tracked_as_before
from search.cluster import check_cluster, in_ray_job
from search.run import read_record
from search.store import SearchStore, check_config, confirmation_overrides, grown
from search.tracking import check_tracking


@click.command()
@click.argument("source", default="digits-quick")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, e.g. replicates=5.")
@click.option("--name", help="Name of the search [from the search file].")
@click.option("--address", help="A running Ray cluster that this machine is part of: auto or host:port.")
@click.option("--gpus-per-trial", type=float, help="Share of a GPU that a trial gets; 0.25 packs four on each.")
@click.option("--cpus-per-trial", type=float, help="CPU cores that a trial gets.")
@click.option("--resume", is_flag=True, help="Resume if a search of this name exists.")
@click.option("--dry-run", is_flag=True, help="Check it and say what it will take, as `kd-search check`; run nothing.")
@click.option("--confirm", "confirmed", is_flag=True, help="Confirm the search when it has finished.")
@skip_bad
@own_policies
@pace
@places
def run(source: str, address: str | None, resume: bool, confirmed: bool, dry_run: bool, **options: Any) -> None:
    """Run a search: SOURCE is a search file (.toml) or a recipe's name."""
    config = config_of(source, options)
    launch = launch_of(options, address)
    if dry_run:
        check_with(config, launch, confirming=confirmed)
        return
    search_with(config, launch, resume=resume, confirming=confirmed)
    if confirmed:
        confirm_with(config.name, launch, config.confirm, None, config.gates)


@click.command()
@click.argument("name")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Let it grow, e.g. trials_per_family=12.")
@click.option("--address", help="A running Ray cluster that this machine is part of: auto or host:port.")
@click.option("--dry-run", is_flag=True, help="Say what is left to do and how long it will take; run nothing.")
@own_policies
@pace
@places
def resume(
    name: str, overrides: tuple[str, ...], policies: tuple[str, ...], address: str | None, dry_run: bool, **places: Any
) -> None:
    """Resume an interrupted search, or let a finished one grow; nothing that finished is run again.

    With --set a search gets more families, more rules of each (trials_per_family), more seeds (replicates), more
    constants (constant.most_trials) or another budget. It keeps all that it has.
    """
    launch = launch_of(places, address)
    store = SearchStore(launch.storage, name)
    config = grown(store.header_record(), overrides, policies)
    if dry_run:
        check_with(config, launch, kept=read_record(name, launch))
        return
    search_with(config, tracked_as_before(launch, store, places), resume=True, grown=True)


@click.command()
@click.argument("name")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set a key of confirm, resources, gates.")
@click.option("--seeds", type=int, help="Fresh seeds per finalist; a larger number adds seeds.")
@click.option("--families", help="Families to confirm, e.g. tree,norm_balance [all].")
@click.option("--student", help="Student to confirm, if the search has several [the best trial's].")
@click.option("--more-constants", type=int, help="Most constants to retry with the best rules' settings.")
@click.option("--smallest-gain", type=float, help="Gain worth a rule: points of accuracy [0.5], or the KPI's unit.")
@click.option("--address", help="A running Ray cluster that this machine is part of: auto or host:port.")
@places
def confirm(name: str, overrides: tuple[str, ...], families: str | None, address: str | None, **options: Any) -> None:
    """Train a finished search's best rules and constants on fresh seeds, and judge them on the test set.

    Options that are not given keep the values that this confirmation began with, or that the search file's `confirm`
    has.
    """
    from search.confirm import read_confirmation, settings_of  # takes seconds

    launch = launch_of(options, address)
    store = SearchStore(launch.storage, name)
    launch = tracked_as_before(launch, store, options)
    config = store.config()
    given, resources, gates = confirmation_overrides(config, overrides)
    names = None if families is None else [family.strip() for family in families.split(",")]
    named = {
        "families": names,
        **{key: options[key] for key in ("seeds", "student", "more_constants", "smallest_gain")},
    }
    given |= {key: value for key, value in named.items() if value is not None}
    settings = settings_of(config, read_confirmation(store), **given)
    check_config(config, launch)
    if options["tracking_uri"]:  # the search's own store may be away: what it lacks is told at the end
        check_tracking(launch.tracking_uri)
    if launch.address is not None and not in_ray_job():
        check_cluster(launch.address)
    confirm_with(name, launch, settings, resources, gates)
