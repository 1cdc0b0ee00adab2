"""Runs Ray Tune over a search's trials, or resumes what an earlier run left.

Importing this imports Tune and PyTorch, which `search.run.search` delays until Ray starts.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import ray.tune.tune
from ray import tune
from ray.air._internal import usage
from ray.air.execution._internal.actor_manager import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError

from search.cluster import interruption_sets, room_for
from search.plan import METRIC, PlannedSearch
from search.run.events import SearchEvents
from search.run.scheduler import PatientScheduler
from search.settings import Launch, SearchConfig
from search.store import SearchStore, begin_anew, cleared_staging, recover
from trainables.trainings import Assets
from trainables.trial import DistillationTrial

_PENDING = "TUNE_MAX_PENDING_TRIALS_PG"
_TASK_FAILED = "_actor_task_failed"


def run_trials(
    config: SearchConfig,
    launch: Launch,
    store: SearchStore,
    assets: Assets,
    events: SearchEvents,
    searcher: PlannedSearch,
) -> None:
    """Run all trials of a search that have not ended; returns early if interrupted.

    Args:
        config: the search.
        launch: its places.
        store: its folder.
        assets: what its trials read.
        events: Tune's callback.
        searcher: proposes the trials. A search that is restored takes its settings from it.
    """
    trainable = tune.with_resources(
        tune.with_parameters(
            DistillationTrial,
            base=config.base_trial(),
            assets=assets,
            report_seconds=launch.report_seconds,
            checkpoint_seconds=launch.checkpoint_seconds,
        ),
        {"cpu": config.resources.cpus_per_trial, "gpu": config.resources.gpus_per_trial},
    )
    if store.has_snapshot():
        events.restores_in(cleared_staging(store, recover(store)))
        tuner = tune.Tuner.restore(store.uri, trainable=trainable, resume_unfinished=True)
    else:
        begin_anew(store)
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                metric=METRIC,
                mode="max",
                search_alg=searcher,
                scheduler=PatientScheduler(config.resources),
                num_samples=-1,  # without end: the searcher tells when it is done
                reuse_actors=True,
                trial_dirname_creator=_folder_name,
            ),
            run_config=tune.RunConfig(
                name=config.name,
                storage_path=launch.storage_path,
                callbacks=[events],
                verbose=0,
                # With one to keep, every checkpoint would cause a snapshot of the whole search.
                checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=True),
                # For trials that fail in the step that made them; `events` sets it for all others.
                failure_config=tune.FailureConfig(max_failures=most_failures(launch)),
            ),
        )
    interrupted = threading.Event()
    with (
        # To count the use of each of Ray's own callbacks, Tune imports them, and with one of them MLflow. That takes
        # seconds of CPU. The number is never sent, since a search turns Ray's usage statistics off.
        mock.patch.object(usage, "tag_callbacks", return_value=False, create=True),
        # In a notebook Tune's reporter clears the cell's output, even if it reports nothing.
        mock.patch.object(ray.tune.tune, "_detect_reporter", return_value=_SilentReporter(), create=True),
        mock.patch.object(RayActorManager, _TASK_FAILED, _as_actor_errors(getattr(RayActorManager, _TASK_FAILED))),
        _workers_at_once(room_for(config.resources)),
        # Tune's handler of Ctrl-C would take no SIGTERM, and let the second of two signals end it before it saves.
        mock.patch.object(ray.tune.tune, "_setup_signal_catching", return_value=interrupted, create=True),
        interruption_sets(interrupted),
    ):
        tuner.fit()


class _SilentReporter(tune.ProgressReporter):  # type: ignore[misc]
    """Reports nothing: `SearchEvents` tells the listeners."""

    def should_report(self, trials: list[Any], done: bool = False) -> bool:  # noqa: ARG002
        return False


def _as_actor_errors(task_failed: Callable[..., None]) -> Callable[..., None]:
    """Wrap Tune's handler of failed tasks, so that a worker that Ray ended fails its own trial alone.

    Tune knows errors of tasks and of actors only. By the error of a worker that Ray ended for want of memory it would
    end the whole search.
    """

    def failed(manager: Any, *, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, (RayActorError, RayTaskError)):
            exception = RayActorError(error_msg=str(exception))
        task_failed(manager, tracked_actor_task=tracked_actor_task, exception=exception)

    return failed


def most_failures(launch: Launch) -> int:
    """Return how often a trial that fails is retried.

    On a cluster a node may be lost, and its trials resume elsewhere. On one machine a failure is the trial's own and
    would only be repeated.
    """
    return 0 if launch.address is None else 2


@contextlib.contextmanager
def _workers_at_once(count: int) -> Iterator[None]:
    """Let Tune start this many workers at a time within the block, unless the user's environment says how many.

    By default it starts one at a time. If trials are short, no second one starts (see `PatientScheduler`).
    """
    if _PENDING in os.environ:
        yield
        return
    os.environ[_PENDING] = str(count)
    try:
        yield
    finally:
        del os.environ[_PENDING]


def _folder_name(trial: Any) -> str:
    return f"{trial.config['trial']:04d}-{trial.config['family']}-{trial.trial_id}"
