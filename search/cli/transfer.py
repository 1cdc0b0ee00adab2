"""`kd-search transfer`."""

from __future__ import annotations

from typing import Any

import click

from search.cli.actions import leave_unless_whole
from search.cli.interruption import interruptible
from search.cli.options import launch_of, places, tracked_as_before
from search.cluster import check_cluster, in_ray_job
from search.progress import ConfirmationProgress, Terminal
from search.run import read_record
from search.settings import TransferSettings, load_config, next_command
from search.store import SearchStore, check_config


@click.command()
@click.argument("name")
@click.option("--to", "scaled", required=True, metavar="FILE", help="The scaled search file, or a recipe.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting of the scaled file.")
@click.option("--seeds", type=int, help="Fresh seeds per finalist; a larger number adds seeds [5].")
@click.option("--rules", type=int, help="Most rules of the pilot to train, the best first [4].")
@click.option("--retuned", type=int, help="Most rules to train with settings tuned at scale, too [2].")
@click.option("--constants", type=int, help="Most constants λ to try at scale [12].")
@click.option("--from-scaled", help="Settings to take from the scaled file, though the pilot searched them.")
@click.option("--smallest-gain", type=float, help="Gain worth a change: points of accuracy [0.5], or the KPI's unit.")
@click.option("--address", help="A running Ray cluster that this machine is part of: auto or host:port.")
@places
def transfer(
    name: str, scaled: str, overrides: tuple[str, ...], from_scaled: str | None, address: str | None, **options: Any
) -> None:
    """Find out whether the choice of a pilot NAME holds at full size.

    The pilot's best rules and constants are trained with their numbers under the settings of another search file, on
    fresh seeds, beside a constant that is tuned there. They are judged on that file's validation set; its test set
    stays closed. An interrupted transfer resumes.
    """
    launch = launch_of(options, address)
    store = SearchStore(launch.storage, name)
    launch = tracked_as_before(launch, store, options)
    given = {key: options[key] for key in ("seeds", "rules", "retuned", "constants", "smallest_gain")}
    given["from_scaled"] = None if from_scaled is None else [part.strip() for part in from_scaled.split(",")]
    settings = TransferSettings.parse({key: value for key, value in given.items() if value is not None})
    store.read_header()  # a name that is not known need not wait for the imports
    config = load_config(scaled, overrides)
    check_config(config, launch)
    if launch.address is not None and not in_ray_job():
        check_cluster(launch.address)
    from search.evidence import transfer_findings  # takes seconds
    from search.report import render_transfer
    from search.run import publish_transfer
    from search.transfer import transfer_search

    console = Terminal()
    listener = ConfirmationProgress(console)
    command = f"{next_command('transfer', name, launch)} --to {scaled}"
    remedy = f"the transfer was interrupted; the same command resumes it: {command}"
    with interruptible(console, listener.kept, lambda: remedy) as interruption:
        done = transfer_search(name, config, launch, listener, settings)
        search = read_record(name, launch)
        found = transfer_findings(done.record, search.unit)
        if found is not None:
            console.print(render_transfer(found, done.failed), crop=False)
            page, problem = publish_transfer(search, launch)
            click.echo(f"report: {page}")
            if problem is not None:
                complete = next_command("sync", name, launch)
                click.echo(f"{problem}\ncomplete it with: {complete}", err=True)
    leave_unless_whole(done.failed, remedy if done.interrupted else "", command, asked=interruption.asked)
