"""`kd-search analyze`."""

from __future__ import annotations

from typing import Any

import click

from search.analysis import find_subject, probe_settings
from search.cli.analysis_progress import AnalysisProgress
from search.cli.options import launch_of, places
from search.progress import Terminal
from search.store import check_config


@click.command()
@click.argument("source", default="digits-quick")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a setting of a file or recipe.")
@click.option(
    "--policy", "policy_file", metavar="POLICY.json", help="The training's rule [the search's, or a constant]."
)
@click.option("--seeds", default=5, show_default=True, type=click.IntRange(1, 1000), help="Number of trainings.")
@click.option("--probes", type=int, help="Places along a training to try every λ at [one per 10 steps, 5 to 20].")
@click.option("--pictures", default=500, show_default=True, help="Number of held-out pictures.")
@click.option("--horizons", default="1,5,20", show_default=True, help="Steps at one λ before the losses are measured.")
@places
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
    """Try every λ for a step, at places along a training, and compare with the theory.

    SOURCE is a finished search's name (the training that it recommends: confirmed, else the best trial's), a search
    file (.toml) or a recipe's name (its set-up under the λ that `space.policies.fixed.weight` fixes, or else 0.9).

    A probe costs as much as some hundred steps of training, and there are up to 20 for each seed, so this may take
    longer than the search did; the first probe shows how long.
    """
    launch = launch_of(places)
    probing = probe_settings(probes=probes, pictures=pictures, horizons=horizons)
    subject = find_subject(source, launch, overrides=overrides, policy_file=policy_file)
    check_config(subject.config, launch)
    # What trains and draws takes seconds to import.
    from search.analysis import analysis_text, judge_analysis, write_analysis
    from search.analysis import analyze as analyze_subject

    listener = AnalysisProgress(Terminal())
    listener.stage(subject.words)
    try:
        record = analyze_subject(subject, launch, listener, seeds=seeds, probing=probing)
    except KeyboardInterrupt:
        raise click.Abort from None  # nothing is written before all is known
    finally:
        listener.end()
    findings = judge_analysis(record)
    folder = write_analysis(record, findings, launch.output / record.name / "analysis")
    click.echo(analysis_text(record, findings, brief=True))
    click.echo(f"analysis: {folder}")
