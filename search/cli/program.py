"""The `kd-search` program: its commands by subject, and what becomes of errors."""

from __future__ import annotations

import errno
import importlib
import sys
from typing import Any

import click

from policies.errors import KDPolicySearchError
from search.cluster import let_threads_sleep
from search.progress import end_unread, is_read, print_anything

COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Search": {
        "run": ("search", "Run a search."),
        "resume": ("search", "Resume an interrupted search."),
        "confirm": ("search", "Train the best rules and constants on fresh seeds and judge them on the test set."),
        "transfer": ("transfer", "Find out whether a pilot's choice holds at full size."),
        "export": ("export", "Write the champion as ONNX and torch.export files, and its rule as plain PyTorch."),
        "stop": ("stop", "Stop a running search, here or on a cluster."),
        "check": ("check", "Check a search file in seconds, before anything is spent."),
        "diagnose": ("diagnose", "Say from a few trainings whether λ will matter, before any search."),
        "worth": ("worth", "Compare the best rule or constant with training on the labels alone."),
        "recipes": ("lists", "List the recipes, or print one."),
        "policies": ("lists", "List the families of λ rules, or describe one."),
    },
    "Look": {
        "status": ("look", "Show a search's progress."),
        "report": ("look", "Show which rule won, and write the HTML page."),
        "explain": ("look", "Show what a rule did along a training, and why."),
        "analyze": ("analyze", "Try every λ for a step and compare with the theory."),
    },
    "MLflow": {
        "ui": ("mlflow", "Open the MLflow UI on a search."),
        "sync": ("mlflow", "Write a search to MLflow again."),
    },
    "Ray cluster": {
        "submit": ("jobs", "Send a search to a running cluster as a job."),
        "logs": ("jobs", "Print the output of a submitted search."),
    },
}
"""Section of the help -> command -> its module in this folder, and its line in the help."""


def main() -> None:
    """Run `kd-search`.

    A mistake that the user can mend becomes one message on stderr and exit code 2. If stdout is closed early, as by
    `| head`, the program ends quietly with exit code 141, like any program that SIGPIPE ends.
    """
    let_threads_sleep()
    print_anything()
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
            f"error: no space is left to write: {error}. The files written so far are complete. Make room, then resume"
            " a search with `kd-search resume NAME`; run any other command again.",
            err=True,
        )
        sys.exit(2)


class Commands(click.Group):
    """Imports a command's module when the command is called, so that help and mistakes cost no time."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        modules = {name: module for section in COMMANDS.values() for name, (module, _) in section.items()}
        if cmd_name not in modules:
            return None
        command: click.Command = getattr(importlib.import_module(f"search.cli.{modules[cmd_name]}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        for title, section in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, line) for name, (_, line) in section.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would end with exit code 1, as if something had failed
            if is_read():
                raise  # another pipe's
            end_unread()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="kd-policy-search")
def cli() -> None:
    """Find the simplest rule for λ that makes knowledge distillation pay on your data."""
