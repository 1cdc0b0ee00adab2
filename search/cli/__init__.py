"""`kd-search`: the command line. What needs PyTorch, Ray or MLflow is imported only by the command that needs it."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import json
import os
import pathlib
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from policies.errors import KDPolicySearchError
from search.cluster import let_threads_sleep
from search.settings import (
    DASHBOARD_VARIABLE,
    DEFAULT_EXPERIMENT,
    DEFAULT_OUTPUT,
    Launch,
    default_cache,
    default_data_root,
)

if TYPE_CHECKING:
    from search.evidence import ReportSource
    from search.records import SearchRecord
    from search.settings import ConfirmationSettings, SearchConfig
    from search.store import SearchStore

_Command = TypeVar("_Command", bound=Callable[..., Any])
_option = functools.partial(click.option, show_envvar=True)  # in help and where it is missing


def main() -> None:
    """Run `kd-search`; a mistake that the user can mend is one message on stderr and exit code 2.

    Where nobody reads on, as behind `| head`, it ends as a program does that SIGPIPE ends: quietly, exit code 141.
    """
    let_threads_sleep()
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KDPolicySearchError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        click.echo(
            f"error: there is no room left to write to: {error}. What was kept so far is whole. Make room, and go on:"
            " `kd-search resume NAME` with a search, any other command as before.",
            err=True,
        )
        sys.exit(2)


class _Commands(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would end with exit code 1, as if something had failed
            from search.cli.console import end_unread, is_read

            if is_read():
                raise  # another pipe's
            end_unread()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kd-policy-search")
def cli() -> None:
    """Find the simplest rule for λ that makes knowledge distillation pay on your data."""


def _places(command: _Command) -> _Command:
    """The options that say where searches, data and teachers lie."""
    cache = default_cache()
    options = [
        click.option("--output", default=str(DEFAULT_OUTPUT), show_default=True, help="Local folder of results."),
        click.option("--storage", help="Where searches are kept; on a cluster a shared folder or s3:// [--output]."),
        _option("--cache", default=str(cache), envvar="KD_SEARCH_CACHE", help=f"Trained teachers [{cache}]."),
        _option("--data-root", envvar="KD_SEARCH_DATA", help="Downloaded data sets [<cache>/data]."),
        _option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", help="MLflow store [sqlite:///<output>/mlflow.db]."),
        click.option("--experiment", help=f"MLflow experiment [the search's own, or else {DEFAULT_EXPERIMENT}]."),
    ]
    return _with(options, command)


def _pace(command: _Command) -> _Command:
    """The options that say how often a trial reports and saves itself."""
    options = [
        click.option("--report-seconds", default=5.0, show_default=True, help="Least time between a trial's reports."),
        click.option("--checkpoint-seconds", default=30.0, show_default=True, help="Time between its checkpoints."),
    ]
    return _with(options, command)


def _with(options: Sequence[Callable[[_Command], _Command]], command: _Command) -> _Command:
    for option in reversed(options):
        command = option(command)
    return command


def _own(command: _Command) -> _Command:
    """The option that adds rules of the user's own."""
    option = click.option(
        "--policy", "policies", multiple=True, metavar="FILE.py:CLASS", help="Search a rule of your own, too."
    )
    return _with([option], command)


def _launch(places: dict[str, Any], address: str | None = None) -> Launch:
    from search.settings import default_tracking_uri

    output = pathlib.Path(places["output"]).expanduser()
    storage = places["storage"] or str(output)
    cache = pathlib.Path(places["cache"]).expanduser()
    return Launch(
        output=output,
        storage=storage if "://" in storage else os.path.expanduser(storage),
        address=address,
        tracking_uri=places["tracking_uri"] or default_tracking_uri(output),
        experiment=places["experiment"] or DEFAULT_EXPERIMENT,
        cache=cache / "teachers",
        data_root=pathlib.Path(places["data_root"] or default_data_root(cache)).expanduser(),
        **{name: places[name] for name in ("report_seconds", "checkpoint_seconds") if name in places},
    )


@cli.command()
@click.argument("source", default="digits-quick")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting, e.g. replicates=5.")
@click.option("--name", help="Name of the search [from the search file].")
@click.option("--address", help="A running Ray cluster that this machine is part of: auto or host:port.")
@click.option("--gpus-per-trial", type=float, help="Share of a GPU that a trial gets; 0.25 packs four a card.")
@click.option("--cpus-per-trial", type=float, help="CPU cores that a trial gets.")
@click.option("--resume", is_flag=True, help="Go on if a search of this name exists.")
@click.option("--confirm", "confirmed", is_flag=True, help="Confirm the search when it has finished.")
@_own
@_pace
@_places
def run(
    source: str,
    overrides: tuple[str, ...],
    name: str | None,
    address: str | None,
    gpus_per_trial: float | None,
    cpus_per_trial: float | None,
    resume: bool,
    confirmed: bool,
    policies: tuple[str, ...],
    **places: Any,
) -> None:
    """Run a search: SOURCE is a search file (.toml) or a recipe's name."""
    config = _config(source, overrides, name, gpus_per_trial, cpus_per_trial, policies)
    launch = _launch(places, address)
    _search(config, launch, resume=resume, confirming=confirmed)
    if confirmed:
        _confirm(config.name, launch, config.confirm)


@cli.command()
@click.argument("name")
@click.option("--address", help="A running Ray cluster that this machine is part of: auto or host:port.")
@_pace
@_places
def resume(name: str, address: str | None, **places: Any) -> None:
    """Go on with an interrupted search; nothing that finished is run again."""
    from search.store import SearchStore

    launch = _launch(places, address)
    store = SearchStore(launch.storage, name)
    _search(store.config(), _tracked_as_before(launch, store, places), resume=True)


@cli.command()
@click.argument("name")
@click.option("--seeds", type=int, help="Fresh seeds a finalist; more than before adds the new ones.")
@click.option("--families", help="Whose best rules to confirm, e.g. tree,norm_balance [all].")
@click.option("--student", help="Whose rules to confirm, where the search has several [the best trial's].")
@click.option("--more-constants", type=int, help="The most constants to retry with the best rules' settings.")
@click.option("--smallest-gain", type=float, help="What is worth a rule: points of accuracy [0.5], or the KPI's unit.")
@click.option("--address", help="A running Ray cluster that this machine is part of: auto or host:port.")
@_places
def confirm(
    name: str,
    seeds: int | None,
    families: str | None,
    student: str | None,
    more_constants: int | None,
    smallest_gain: float | None,
    address: str | None,
    **places: Any,
) -> None:
    """Train a finished search's best rules and constants on fresh seeds, and judge them on the test pictures.

    What is not given is as this confirmation began, or as the search file's `confirm` says.
    """
    from search.cluster import check_cluster, in_ray_job
    from search.confirm import read_confirmation, settings_of
    from search.store import SearchStore, check_config
    from search.tracking import check_tracking

    launch = _launch(places, address)
    store = SearchStore(launch.storage, name)
    launch = _tracked_as_before(launch, store, places)
    config = store.config()
    names = None if families is None else [family.strip() for family in families.split(",")]
    given: dict[str, Any] = {
        "seeds": seeds,
        "families": names,
        "student": student,
        "more_constants": more_constants,
        "smallest_gain": smallest_gain,
    }
    settings = settings_of(config, read_confirmation(store), **given)
    check_config(config, launch)
    if places["tracking_uri"]:  # the search's own store may be away: what it lacks is told at the end
        check_tracking(launch.tracking_uri)
    if launch.address is not None and not in_ray_job():
        check_cluster(launch.address)
    _confirm(name, launch, settings)


@cli.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Numbers for programs.")
@_places
def report(name: str, as_json: bool, **places: Any) -> None:
    """Show which rule won, and write the search's HTML page."""
    launch = _launch(places)
    record = _read(name, launch)
    from search.run import publish_report, report_source

    if as_json:
        from search.report import report_json

        click.echo(json.dumps(report_json(report_source(record, launch)), indent=2))
        return
    _show(record, launch, publish_report(record, launch))


@cli.command()
@click.argument("trial", metavar="RUN")
@click.option("--json", "as_json", is_flag=True, help="Numbers for programs; draws no figure.")
@_places
def explain(trial: str, as_json: bool, **places: Any) -> None:
    """Tell what a rule did along a training, and why.

    RUN is a search's NAME (the trial that it recommends: the confirmed one, else the best), NAME/NUMBER (one of its
    trials), or the path of a decisions.parquet or of a folder that holds one.
    """
    from search.explain import explain as sum_up
    from search.explain import explanation_json, find_source

    source = find_source(trial, _launch(places))
    explanation = sum_up(source.log, source.title, source.remark)
    if as_json:
        click.echo(json.dumps(explanation_json(explanation), indent=2, ensure_ascii=False))
        return
    from search.explain import explanation_text, write_figure

    click.echo(explanation_text(explanation))
    click.echo("figure: {}, {}".format(*write_figure(source)))


@cli.command()
@click.argument("source", default="digits-quick")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting of a file or recipe.")
@click.option(
    "--policy", "policy_file", metavar="POLICY.json", help="The rule in training [the search's, or a constant]."
)
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1, 1000), help="Trainings.")
@click.option("--probes", type=int, help="Places along each at which every λ is tried [one for 10 steps, 5 to 20].")
@click.option("--pictures", default=500, show_default=True, help="Held-out pictures to measure the losses on.")
@click.option("--horizons", default="1,5,20", show_default=True, help="After how many steps of a λ they are measured.")
@_places
def analyze(
    source: str,
    overrides: tuple[str, ...],
    policy_file: str | None,
    seeds: int,
    probes: int | None,
    pictures: int,
    horizons: str,
    **places: Any,
) -> None:
    """Try every λ for a step, at places along a training, and compare with what theory says.

    SOURCE is a finished search's name (the training that it recommends: confirmed, else the best trial's), a search
    file (.toml) or a recipe's name (its set-up under the λ that `space.policies.fixed.weight` fixes, or else 0.9).

    A probe costs as much as some hundred steps of training, and there are up to 20 for each seed, so this may take
    longer than the search did; the first probe tells how long.
    """
    from search.analysis import analysis_text, find_subject, judge_analysis, probe_settings
    from search.cli.console import Terminal
    from search.store import check_config

    launch = _launch(places)
    probing = probe_settings(probes=probes, pictures=pictures, horizons=horizons)
    subject = find_subject(source, launch, overrides=overrides, policy_file=policy_file)
    check_config(subject.config, launch)
    from search.analysis import analyze as look_into
    from search.analysis import write_analysis
    from search.cli.analysis_progress import AnalysisProgress

    listener = AnalysisProgress(Terminal())
    listener.stage(subject.words)
    try:
        record = look_into(subject, launch, listener, seeds=seeds, probing=probing)
    except KeyboardInterrupt:
        raise click.Abort from None  # nothing is written before all is known
    finally:
        listener.end()
    findings = judge_analysis(record)
    folder = write_analysis(record, findings, launch.output / record.name / "analysis")
    click.echo(analysis_text(record, findings, brief=True))
    click.echo(f"analysis: {folder}")


@cli.command()
@click.argument("name")
@click.option("--address", help="The dashboard of the cluster that runs it: http://host:8265.")
@click.option("--json", "as_json", is_flag=True, help="Numbers for programs.")
@_places
def status(name: str, address: str | None, as_json: bool, **places: Any) -> None:
    """How far a search is."""
    from search.run import search_status, status_lines

    state = search_status(name, _launch(places), address)
    if as_json:
        click.echo(json.dumps(state, indent=2))
        return
    click.echo("\n".join(status_lines(state)))


@cli.command()
@click.argument("source", metavar="NAME|FILE|RECIPE")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting of the file or recipe."
)
@click.option("--json", "as_json", is_flag=True, help="Numbers for programs.")
@_pace
@_places
def worth(source: str, overrides: tuple[str, ...], as_json: bool, **places: Any) -> None:
    """Is distillation worth it here? The best of everything against training on the labels alone.

    NAME is a search. Given a search file or a recipe, its best constant λ is searched and confirmed first, without any
    rule, as the search NAME-worth; a second call goes on with that or reads it.
    """
    from search.recipes import recipe_names
    from search.settings import next_command
    from search.store import SearchStore

    launch, name = _launch(places), source
    is_file = source in recipe_names() or pathlib.Path(source).suffix == ".toml"
    if overrides or (is_file and not SearchStore(launch.storage, source).exists()):
        config = _config(source, overrides, None, None, None, ()).constants_alone()
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            page = _confirmed_once(config, launch)
        name = config.name
    else:
        page = _source(name, launch)
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
    """Search and confirm, or go on with that, unless it has been done; what a report is made from."""
    from search.store import SearchStore, check_unchanged

    store = SearchStore(launch.storage, config.name)
    if store.exists():
        check_unchanged(config, store.config())
        done = _source(config.name, launch)
        if done.search.status == "finished" and done.judgement.is_confirmed:
            return done
    _search(config, launch, resume=True, confirming=True)
    _confirm(config.name, launch, config.confirm)
    return _source(config.name, launch)


@cli.command()
@click.argument("name")
@_places
def sync(name: str, **places: Any) -> None:
    """Write a search to MLflow again, e.g. after an outage or to another server; nothing doubles."""
    from search.run import project, publish_champion, publish_report
    from search.settings import sqlite_path
    from search.store import SearchStore
    from search.tracking import check_tracking

    launch = _launch(places)
    store = SearchStore(launch.storage, name)
    launch = _tracked_as_before(launch, store, places)
    check_tracking(launch.tracking_uri)
    path = sqlite_path(launch.tracking_uri)
    if path is not None and not path.exists():  # it may be wanted, or mistyped
        click.echo(f"there is no MLflow store {str(path)!r} yet; it is made now", err=True)
    record = _read(name, launch)
    page = publish_report(record, launch)
    publish_champion(record, store, launch)
    click.echo(project(record, store, launch, page))


@cli.command()
@click.argument("name", required=False)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=5000, show_default=True, type=click.IntRange(1, 65_535))
@_places
def ui(name: str | None, host: str, port: int, **places: Any) -> None:
    """Open the MLflow UI on a search: NAME, or the newest in the searches' store."""
    from search.store import SearchStore
    from search.tracking import serve_ui

    launch = _launch(places)
    if name is not None and not places["tracking_uri"]:
        launch = _tracked_as_before(launch, SearchStore(launch.storage, name), places)
    serve_ui(launch.tracking_uri, launch.experiment, click.echo, search=name, host=host, port=port)


@cli.command("policies")
@click.argument("name", required=False)
@click.option("--all", "whole", is_flag=True, help="All of every family, not a line.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--policy", "policies", multiple=True, metavar="FILE.py:CLASS", help="List a rule of your own, too.")
@click.option("--check", "checked", metavar="FILE.py:CLASS", help="Hold a rule of your own to the contract instead.")
def list_policies(name: str | None, whole: bool, as_json: bool, policies: tuple[str, ...], checked: str | None) -> None:
    """List the families of λ rules; with NAME, tell one family's parameters, ranges and source."""
    from policies.aliases import ALIASES, meaning
    from policies.extensions import load_all_installed, register_policy
    from policies.own_file import load_policy_class
    from search.cli.catalogue import catalogue, entry_of, print_entry, short_catalogue

    if checked is not None:
        _check_policy(checked)
        return
    for reference in policies:
        register_policy(load_policy_class(reference))
    for problem in load_all_installed().values():
        click.echo(f"left out: {problem}", err=True)
    if as_json:
        click.echo(json.dumps(catalogue() if name is None else entry_of(name), indent=2, ensure_ascii=False))
    elif name is not None:
        if name in ALIASES:
            click.echo(f"{name} stands for {meaning(name)}.")
        print_entry(entry_of(name))
    elif whole:
        for entry in catalogue():
            print_entry(entry)
            click.echo()
    else:
        click.echo(short_catalogue(shutil.get_terminal_size().columns if sys.stdout.isatty() else None))


def _check_policy(reference: str) -> None:
    """Print which clauses of the contract a rule keeps; the exit code is 1 if it breaks one."""
    from policies.own_file import load_policy_class
    from policies.testing import clauses_of

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


@cli.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the recipes, or print one, as a start for a search file of your own."""
    from search.recipes import read_recipe, recipe_names

    click.echo(read_recipe(name) if name else "\n".join(recipe_names()))


@cli.command()
@click.argument("source")
@_option("--address", required=True, envvar=DASHBOARD_VARIABLE, help="The dashboard: http://host:8265.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting.")
@click.option("--name", help="Name of the search; one that has run before is resumed.")
@click.option("--storage", required=True, help="A folder that all nodes share, or s3://….")
@_option("--tracking-uri", envvar="MLFLOW_TRACKING_URI", required=True, help="An MLflow server.")
@click.option("--experiment", default=DEFAULT_EXPERIMENT, show_default=True, help="MLflow experiment.")
@click.option("--working-dir", type=click.Path(exists=True, file_okay=False), help="A folder that goes along.")
@click.option("--env", "environment", multiple=True, metavar="KEY=VALUE", help="A variable for driver and trials.")
@click.option("--ship-code/--no-ship-code", default=True, help="Send this installation's packages along.")
@click.option("--gpus-per-trial", type=float, help="Share of a GPU that a trial gets.")
@click.option("--cpus-per-trial", type=float, help="CPU cores that a trial gets.")
@click.option("--confirm", "confirmed", is_flag=True, help="Confirm the search when it has finished.")
@_own
@_pace
def submit(
    source: str,
    address: str,
    overrides: tuple[str, ...],
    name: str | None,
    storage: str,
    tracking_uri: str,
    experiment: str,
    working_dir: str | None,
    environment: tuple[str, ...],
    ship_code: bool,
    gpus_per_trial: float | None,
    cpus_per_trial: float | None,
    confirmed: bool,
    policies: tuple[str, ...],
    **pace: float,
) -> None:
    """Send a search to a running Ray cluster as a job; one whose name has run before goes on."""
    from search.cluster import Jobs, check_begun
    from search.settings import without_password
    from search.store import check_own_policies

    on_uri = "://" in storage
    if not on_uri and not pathlib.PurePosixPath(storage).is_absolute():
        raise click.UsageError(f"--storage must be an absolute path or a URI, since it is the cluster's: {storage!r}.")
    config = _config(source, overrides, name, gpus_per_trial, cpus_per_trial, policies)
    check_own_policies(config)
    if without_password(tracking_uri) != tracking_uri:
        raise click.UsageError(
            "--tracking-uri must hold no password, since it stands in the job's command; set MLFLOW_TRACKING_USERNAME"
            " and MLFLOW_TRACKING_PASSWORD instead, best on the nodes themselves."
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
            *(part for key, value in pace.items() for part in (f"--{key.replace('_', '-')}", str(value))),
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


@cli.command()
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on until the job ends.")
@_option("--address", required=True, envvar=DASHBOARD_VARIABLE, help="The dashboard: http://host:8265.")
def logs(name: str, follow: bool, address: str) -> None:
    """Print what a submitted search says; the exit code is 1 if its job failed."""
    from search.cluster import Jobs

    status = Jobs(address).logs(name, follow=follow, write=lambda text: click.echo(text, nl=False))
    click.echo(f"job: {status}", err=True)
    if status == "FAILED":
        sys.exit(1)


@cli.command()
@click.argument("name")
@_option("--address", required=True, envvar=DASHBOARD_VARIABLE, help="The dashboard: http://host:8265.")
def stop(name: str, address: str) -> None:
    """Stop a submitted search; its state is saved and its MLflow runs are closed."""
    from search.cluster import Jobs

    click.echo(f"job ended as {Jobs(address).stop(name)}; `kd-search submit` with the same name goes on with it")


def _config(
    source: str,
    overrides: tuple[str, ...],
    name: str | None,
    gpus_per_trial: float | None,
    cpus_per_trial: float | None,
    policies: Sequence[str],
) -> SearchConfig:
    from search.cluster import CONFIG_VARIABLE
    from search.settings import SearchConfig, load_config

    # Quoted, since 2024 would be a number and true a truth.
    text = None if name is None else json.dumps(name, ensure_ascii=False)
    settings = {"name": text, "resources.gpus_per_trial": gpus_per_trial, "resources.cpus_per_trial": cpus_per_trial}
    given = [f"{key}={value}" for key, value in settings.items() if value is not None]
    if source == "-":
        if CONFIG_VARIABLE not in os.environ:
            raise click.UsageError(f"`-` takes the search from {CONFIG_VARIABLE}, which is not set.")
        return SearchConfig.parse(json.loads(os.environ[CONFIG_VARIABLE]))
    return load_config(source, [*overrides, *given], policies)


def _tracked_as_before(launch: Launch, store: SearchStore, places: dict[str, Any]) -> Launch:
    """The MLflow store and experiment that a search began with, unless others are asked for."""
    from search.settings import without_password

    header = store.read_header()
    uri = launch.tracking_uri if places["tracking_uri"] else header["tracking_uri"]
    experiment = places["experiment"] or header["experiment"]
    anew = (without_password(uri), experiment) != (header["tracking_uri"], header["experiment"])
    return dataclasses.replace(launch.tracked_at(uri, experiment), tracked_anew=anew)


def _search(config: SearchConfig, launch: Launch, *, resume: bool, confirming: bool = False) -> None:
    from search.cli.console import Terminal
    from search.cluster import check_cluster, check_writable, in_ray_job
    from search.settings import next_command
    from search.store import SearchStore, check_config, check_unchanged
    from search.tracking import check_quickly

    store = SearchStore(launch.storage, config.name)
    exists = store.exists()
    if resume and exists:
        check_unchanged(config, store.config())
    check_config(config, launch)
    check_writable(store, launch.storage_option)
    check_quickly(launch.tracking_uri)  # the store is opened beside Ray's start
    if launch.address is not None and not in_ray_job():
        check_cluster(launch.address)
    console = Terminal()
    from search.cli.progress import TerminalListener
    from search.run import resume_search, run_search

    listener = TerminalListener(console)
    if resume and exists:
        outcome = resume_search(config.name, launch, listener)
    else:
        outcome = run_search(config, launch, listener)
    confirmed_next = confirming and outcome.search.status == "finished"
    _show(outcome.search, launch, outcome.page, with_remedy=not confirmed_next)
    if outcome.search.status == "stopped":
        click.echo(f"the search was interrupted; go on with: {next_command('resume', config.name, launch)}")
        sys.exit(130)  # so that whoever started it (a shell, KubeRay) does not take it for finished


def _confirm(name: str, launch: Launch, settings: ConfirmationSettings) -> None:
    from search.cli.confirm_progress import ConfirmationProgress
    from search.cli.console import Terminal
    from search.confirm import confirm_search
    from search.evidence import judge
    from search.report import render_confirmation
    from search.settings import next_command

    console = Terminal()
    confirmed = confirm_search(name, launch, ConfirmationProgress(console), settings)
    search = _read(name, launch)
    console.print(render_confirmation(confirmed.record, confirmed.failed, judge(search, confirmed.record)))
    _publish_confirmation(search, launch)
    if confirmed.interrupted:
        click.echo(f"the confirmation was interrupted; go on with: {next_command('confirm', name, launch)}")
        sys.exit(130)
    if confirmed.failed:
        click.echo(f"try those that failed again with: {next_command('confirm', name, launch)}")
        sys.exit(1)


def _publish_confirmation(record: SearchRecord, launch: Launch) -> None:
    """Report, champion and MLflow; that MLflow fails is told, and `sync` makes up for it."""
    from search.errors import TrackingError
    from search.run import project, publish_champion, publish_report
    from search.settings import next_command
    from search.store import SearchStore

    store = SearchStore(launch.storage, record.name)
    page = publish_report(record, launch)
    click.echo(f"report: {page}")
    champion = publish_champion(record, store, launch)
    if champion is not None:
        click.echo(f"champion: {champion}")
    try:
        tracked = project(record, store, launch, page)
        problem = None if tracked.complete else str(tracked)
    except TrackingError as error:
        problem = str(error)
    if problem is not None:
        click.echo(f"{problem}\ncomplete it with: {next_command('sync', record.name, launch)}", err=True)


def _read(name: str, launch: Launch) -> SearchRecord:
    from search.store import SearchStore

    store = SearchStore(launch.storage, name)
    store.read_header()
    from search.store import read_search

    record = read_search(store)
    if record.status == "running" and store.is_running() is False:
        return record.model_copy(update={"status": "stopped"})  # who was killed could not say so
    return record


def _source(name: str, launch: Launch) -> ReportSource:
    from search.run import report_source

    return report_source(_read(name, launch), launch)


def _show(record: SearchRecord, launch: Launch, page: pathlib.Path, *, with_remedy: bool = True) -> None:
    from search.cli.console import Terminal
    from search.report import render_report
    from search.run import report_source

    console = Terminal()
    source = report_source(record, launch)
    console.print(render_report(source, console.width, with_remedy=with_remedy), crop=False)
    click.echo(f"report: {page}")


if __name__ == "__main__":
    main()
