"""Runs the trainings of a confirmation as Ray tasks, until all have ended."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray

from policies.errors import KDPolicySearchError
from search.cluster import alive_nodes, room_for
from search.confirm.groups import Group, grouped, single
from search.confirm.store import Unit
from search.confirm.training import Trained, train_finalist
from search.prepare import Pictures
from search.records import Finalist
from search.settings import SearchConfig
from search.wording import failure_reason
from trainables.config import TrialSettings
from trainables.suggestion import student_of
from trainables.training import trains_stacked

_SECONDS_TO_WAIT = 0.25
_MOST_QUEUED = 1000
"""The most tasks at a time, since Ray keeps waiting tasks in the driver's memory."""


def run_units(
    units: Sequence[Unit],
    finalists: Mapping[str, Finalist],
    config: SearchConfig,
    pictures: Pictures,
    *,
    retries: int,
    done: Callable[[Trained], None],
    tick: Callable[[], None],
    failed: dict[Unit, str],
) -> None:
    """Train every unit, as many at a time as fit; seeds of a finalist train together if its student can be stacked.

    Args:
        units: what to train, seed by seed; all of one student.
        finalists: by key.
        config: of the search, with the resources of one training.
        pictures: what trainings read; one copy a node.
        retries: how often a task is retried whose process or node was lost.
        done: called with each training that has ended, again if the call for it was interrupted.
        tick: called a few times a second.
        failed: filled with the errors of the units that failed. Units of a group that fails are retried one by one.

    Raises:
        KeyboardInterrupt: running trainings are cancelled; those that had ended were passed to `done`.
    """
    base, shared = config.base_trial(), ray.put(pictures)
    task = ray.remote(**_options(config, retries))(train_finalist)
    most = config.resources.max_concurrent or _MOST_QUEUED
    waiting, running = deque(_groups(units, finalists, config, base)), dict[Any, Group]()
    ended = deque[Trained]()

    def collect(most: int, seconds: float) -> None:
        for answer in ray.wait(list(running), num_returns=most, timeout=seconds)[0] if running else ():
            try:
                trained = ray.get(answer)
            except ray.exceptions.RayError as error:
                group = running.pop(answer)
                if len(group.seeds) > 1:
                    waiting.extend(single(group.units))
                else:
                    failed[group.units[0]] = _reason(error)
            else:
                ended.extend(trained)
                del running[answer]
        while ended:
            done(ended[0])
            ended.popleft()

    try:
        while waiting or running:
            while waiting and len(running) < most:
                group = waiting.popleft()
                running[task.remote(finalists[group.finalist], group.seeds, base, shared)] = group
            collect(1, _SECONDS_TO_WAIT)
            tick()
    except KeyboardInterrupt:
        collect(len(running), 0.0)
        raise
    finally:
        for answer in running:
            with contextlib.suppress(ray.exceptions.RayError):
                ray.cancel(answer, force=True)


def _groups(
    units: Sequence[Unit], finalists: Mapping[str, Finalist], config: SearchConfig, base: TrialSettings
) -> list[Group]:
    students = {finalists[unit.finalist].student for unit in units}
    if all(trains_stacked(student_of(base, student), base.device, base.training) for student in students):
        return grouped(units, room_for(config.resources))
    return single(units)


def _options(config: SearchConfig, retries: int) -> dict[str, Any]:
    resources = config.resources
    options = {"num_cpus": resources.cpus_per_trial, "num_gpus": resources.gpus_per_trial, "max_retries": retries}
    if all(node["Resources"].get("GPU", 0.0) <= 1 for node in alive_nodes()):
        # A process runs one training after another. For GPUs Ray would start a process for each, since PyTorch stays on
        # the first card that it was given. On nodes with a single card that is always the right one.
        options["max_calls"] = 0
    return options


def _reason(error: ray.exceptions.RayError) -> str:
    cause = getattr(error, "cause", None)
    return failure_reason(str(cause) if isinstance(cause, KDPolicySearchError) else str(error))
