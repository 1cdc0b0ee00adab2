"""Prepares a search of a user's training function: tries it out for a moment before anything is spent."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import pathlib
import threading
import time
from collections.abc import Callable

from policies.policy import Given
from search.prepare.families import refuse_rules_on_more
from search.prepare.foundation import Foundation
from search.prepare.ground import Ground, Pictures
from search.prepare.prepared import Prepared, in_cluster
from search.records import Listener
from search.settings import SearchConfig, check_gate_names
from trainables.config import OwnFunction, PolicySettings
from trainables.device import select_compute
from trainables.errors import ConfigError
from trainables.functions import FEW_STEPS, FunctionAssets, FunctionPlace, FunctionTraining, Notes, option_read
from trainables.teacher import TeacherProgress, output_precision

_MEASURING = "norm_balance"
"""A rule that measures both gradients and looks at no logits, so that every function can be tried under it."""
_FIRST_REPORT_SECONDS = 30.0


def prepare_function(config: SearchConfig, listener: Listener, ray_is_up: threading.Event) -> Prepared:
    """Run a training function to its first report, for half a minute after its first step at most.

    Raises:
        ConfigError: it fails, makes no step, does not report the objective, or cannot use one of the families.
    """
    own = config.function
    assert own is not None
    listener.stage(f"trying {own.origin} out")
    folder = str(pathlib.Path.cwd())
    ray_is_up.wait()
    # In a process of Ray's, since a function may change the working directory or the environment of its own.
    work = functools.partial(_try_out, config, folder)
    notes = in_cluster(work, listener, gpus=config.resources.gpus_per_trial, cpus=config.resources.cpus_per_trial)
    check_used(config, own, notes)
    if not notes.reports and not notes.returned:
        listener.stage(f"its first report takes longer than {_FIRST_REPORT_SECONDS:.0f} s, so it was not checked")
    given = notes.given or "losses"
    check_families(config, own, given)
    assets = FunctionAssets(function=own, folder=folder, given=given)
    return Prepared(assets, 0, foundation_of_function(config), None)


def function_ground(config: SearchConfig) -> Ground:
    """Return what a confirmation of a training function needs; the function opens its test set itself."""
    assert config.function is not None
    foundation = foundation_of_function(config)
    assets = FunctionAssets(function=config.function, folder=str(pathlib.Path.cwd()))
    return Ground(
        pictures=Pictures(assets=assets, test=None, test_targets=None),
        teacher=None,
        foundation=foundation,
        test_digest=foundation.data,
    )


def _try_out(config: SearchConfig, folder: str, _news: Callable[[TeacherProgress], None]) -> Notes:
    assert config.function is not None
    compute = select_compute(config.device)
    place = FunctionPlace(assets=FunctionAssets(function=config.function, folder=folder), compute=compute)
    notes, _ = run_for_a_while(config, place, reports=1, most_seconds=_FIRST_REPORT_SECONDS)
    check_seeded(config, place, notes)
    return notes


def check_seeded(config: SearchConfig, place: FunctionPlace, notes: Notes) -> None:
    """Raise ConfigError if another seed gives the same student, so that all seeds would be one training."""
    if not notes.early:
        return
    other, _ = run_for_a_while(config, place, most_steps=FEW_STEPS, seed=notes.seed + 1)
    if other.digest == notes.early:
        raise ConfigError(
            f"trainings of {place.assets.function.origin} must depend on the seed, but two seeds gave the same student"
            " to the last bit; seed what draws random numbers with `run.seed`, after anything that seeds it otherwise."
        )


def run_for_a_while(
    config: SearchConfig,
    place: FunctionPlace,
    *,
    reports: int | None = None,
    most_seconds: float | None = None,
    most_steps: int | None = None,
    seed: int | None = None,
    snapshot: pathlib.Path | None = None,
    each: Callable[[FunctionTraining], None] | None = None,
) -> tuple[Notes, float]:
    """Run a function under the first seed for a while.

    Args:
        config: the search.
        place: the function and its device.
        reports: stop at this report.
        most_seconds: stop so long after the first step.
        most_steps: stop after so many steps.
        seed: instead of the first one.
        snapshot: a snapshot to continue from.
        each: called at each report.

    Returns:
        The notes, and the seconds before the first step.

    Raises:
        KDPolicySearchError: it fails.
    """
    trial = config.base_trial().model_copy(
        update={"policy": PolicySettings(family=_MEASURING), "seeds": config.seeds[:1] if seed is None else (seed,)}
    )
    training = FunctionTraining(trial, place, most_steps=most_steps, most_seconds=most_seconds, snapshot=snapshot)
    began = time.perf_counter()
    try:
        for _ in training.records():
            if each is not None:
                each(training)
            if reports is not None and len(training.notes[0].reports) >= reports:
                break
        training.stop()
        notes = training.notes[0]
        setup = 0.0 if notes.first_step is None else notes.first_step - began
        return notes, max(0.0, setup)
    finally:
        training.close()


def check_used(config: SearchConfig, own: OwnFunction, notes: Notes) -> None:
    """Raise ConfigError if a setting is searched that the function never reads, or if the objective is not finite."""
    values = [report.metrics[config.objective] for report in notes.reports if config.objective in report.metrics]
    if values and not any(map(math.isfinite, values)):
        raise ConfigError(
            f"the objective {config.objective!r} that {own.origin} reports must be finite, but is {values[-1]}; look at"
            " what it is computed from."
        )
    if notes.reports:
        check_gate_names(config.gates, {name for report in notes.reports for name in report.metrics})
    for name in config.space.options:
        if option_read(name) not in notes.read:
            raise ConfigError(
                f"`space.options.{name}` is searched, but {own.origin} never reads `run.options[{name!r}]`; let it read"
                f" that, or remove `space.options.{name}`."
            )
    for name, searched in (("learning_rate", config.space.learning_rate), ("temperature", config.space.temperature)):
        used = name in notes.read or (name == "temperature" and notes.given == "logits")
        if searched is not None and not used:
            raise ConfigError(
                f"`space.{name}` is searched, but {own.origin} never reads `run.{name}`; let it train with"
                f" that, or remove `space.{name}`."
            )


def check_families(config: SearchConfig, own: OwnFunction, given: Given) -> None:
    """Raise ConfigError if a family looks at more than the function gives its balancer."""
    if given == "losses":
        calls = "`balancer.backward` with two losses; call `backward_on_logits` or `backward_on_outputs`"
    else:
        calls = "`balancer.backward_on_outputs`; call `backward_on_logits`"
    refuse_rules_on_more(config, given, f"{own.origin} calls {calls}, or write")


def foundation_of_function(config: SearchConfig) -> Foundation:
    """Return the foundation: the function's text and its options stand for the data and the teacher."""
    own = config.function
    assert own is not None
    text = f"{own.source} {json.dumps(own.options, sort_keys=True, default=str)}"
    return Foundation(
        data=hashlib.sha256(text.encode()).hexdigest(),
        teacher="own",
        precision=output_precision("cuda" if config.resources.gpus_per_trial > 0 else "cpu"),
        earlier="",
    )
