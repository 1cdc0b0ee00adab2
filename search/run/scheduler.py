"""Chooses the trial that gets a worker that has become free."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from search.cluster import room_for
from search.settings import ResourceSettings


class PatientScheduler(FIFOScheduler):  # type: ignore[misc]
    """Schedules first in, first out, without taking trials away from workers that are about to start.

    Tune gives a free worker to the trial that has waited longest. If trials are shorter than the start of a worker, a
    new worker is being started for that trial already, and is then given up. This repeats with every trial, and all run
    one after another on one CPU. While fewer workers run than fit, this scheduler gives the free one to the newest
    trial instead, for which no worker is being started yet.

    Args:
        resources: of a trial.
    """

    def __init__(self, resources: ResourceSettings) -> None:
        super().__init__()
        self._resources = resources
        self._room: int | None = None
        self._some_ended = False

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for Tune's snapshots, without the room: a resumed search may find other machines."""
        return {**self.__dict__, "_room": None}

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Choose the trial for a free worker: the newest while further workers are to start, else the oldest."""
        self._room = self._room or room_for(self._resources)
        live = tune_controller.get_live_trials()
        waiting = [trial for trial in live if trial.status == Trial.PENDING]
        if not waiting:
            return None
        running = sum(trial.status == Trial.RUNNING for trial in live)
        newest_first = self._some_ended and running < self._room - 1
        return (max if newest_first else min)(waiting, key=_age)

    def on_trial_complete(self, *_: Any) -> None:
        """Note that a trial has ended."""
        self._some_ended = True


def _age(trial: Trial) -> tuple[int, int]:
    """Return a trial's age by its policy's number and, among its heats, its seeds: smaller is older."""
    return trial.config["trial"], len(trial.config["seeds"])
