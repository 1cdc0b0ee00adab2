"""`kd-search submit` and `logs`."""

from __future__ import annotations

import os
import pathlib
import sys
from typing import Any

import click

from search.cli.options import PACE, config_of, own_policies, pace, shown_option, skip_bad
from search.cluster import Jobs, check_begun
from search.settings import DASHBOARD_VARIABLE, DEFAULT_EXPERIMENT, without_password
from search.store import check_own_policies


@click.command()
@click.argument("source")
@shown_option("--address", required=True, envvar=DASHBOARD_VARIABLE, help="Ray dashboard: http://host:8265.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting.")
@click.option("--name", help="Name of the search; one that has run before is resumed.")
@click.option("--storage", required=True, help="A folder that all nodes share, or s3://….")
@shown_option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", required=True, help="An MLflow server.")
@click.option("--experiment", default=DEFAULT_EXPERIMENT, show_default=True, help="MLflow experiment.")
@click.option("--working-dir", type=click.Path(exists=True, file_okay=False), help="Folder to send along.")
@click.option("--env", "environment", multiple=True, metavar="KEY=VALUE", help="Variable for driver and trials.")
@click.option("--ship-code/--no-ship-code", default=True, help="Send this installation's packages along.")
@click.option("--gpus-per-trial", type=float, help="Share of a GPU that a trial gets.")
@click.option("--cpus-per-trial", type=float, help="CPU cores that a trial gets.")
@click.option("--confirm", "confirmed", is_flag=True, help="Confirm the search when it has finished.")
@skip_bad
@own_policies
@pace
def submit(
    source: str,
    address: str,
    storage: str,
    tracking_uri: str,
    experiment: str,
    working_dir: str | None,
    environment: tuple[str, ...],
    ship_code: bool,
    confirmed: bool,
    **options: Any,
) -> None:
    """Send a search to a running Ray cluster as a job; one whose name has run before is resumed."""
    on_uri = "://" in storage
    if not on_uri and not pathlib.PurePosixPath(storage).is_absolute():
        raise click.UsageError(f"--storage must be an absolute path or a URI, since it is the cluster's: {storage!r}.")
    config = config_of(source, options)
    check_own_policies(config)
    if without_password(tracking_uri) != tracking_uri:
        raise click.UsageError(
            "--tracking-uri must not hold a password, since it is part of the job's command; set"
            " MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead, preferably on the nodes."
        )
    variables = {}
    for pair in environment:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.UsageError(f"--env takes KEY=VALUE, but got {pair!r}.")
        variables[key] = value
    for key in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        if key in os.environ:
            variables.setdefault(key, os.environ[key])
    jobs = Jobs(address)
    check_begun(config, storage)
    job = jobs.submit(
        config,
        storage=storage,
        arguments=[
            *("--tracking-uri", tracking_uri, "--experiment", experiment),
            *(part for key in PACE for part in (f"--{key.replace('_', '-')}", str(options[key]))),
            *(["--confirm"] if confirmed else []),
            # The report lies beside its search; a job's own folder is forgotten.
            *([] if on_uri else ["--output", storage]),
        ],
        environment=variables,
        working_dir=pathlib.Path(working_dir) if working_dir else None,
        ship_code=ship_code,
    )
    click.echo(f"submitted as job {job}")
    click.echo(f"follow it: kd-search logs {config.name} -f --address {address}")


@click.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Follow until the job ends.")
@shown_option("--address", required=True, envvar=DASHBOARD_VARIABLE, help="Ray dashboard: http://host:8265.")
def logs(name: str, follow: bool, address: str) -> None:
    """Print the output of a submitted search; the exit code is 1 if its job failed."""
    status = Jobs(address).logs(name, follow=follow, write=lambda text: click.echo(text, nl=False))
    click.echo(f"job: {status}", err=True)
    if status == "FAILED":
        sys.exit(1)
