"""Which trial gets a worker that has become free."""

from __future__ import annotations

from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from search.cluster import room_for
from search.settings import ResourceSettings


class PatientScheduler(FIFOScheduler):  # type: ignore[misc]
    """First in, first out, without taking trials away from workers that are about to come up.

    Tune gives a free worker to the trial that has waited longest. Where trials are shorter than the start of a worker,
    that is the one for which a new worker is being started, which is then given up; so it goes on with every trial, and
    all run one after another on one CPU. While fewer workers run than there is room for, the free one goes to the trial
    that came last instead, for which no worker is being started yet.

    Args:
        resources: of a trial.
    """

    def __init__(self, resources: ResourceSettings) -> None:
        super().__init__()
        self._resources = resources
        self._room: int | None = None
        self._some_ended = False

    def __getstate__(self) -> dict[str, Any]:
        """For Tune's snapshots. A search that is gone on with may find other machines."""
        return {**self.__dict__, "_room": None}

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The trial that a free worker is given; one that waits for its own keeps it otherwise."""
        self._room = self._room or room_for(self._resources)
        live = tune_controller.get_live_trials()
        waiting = [trial for trial in live if trial.status == Trial.PENDING]
        if not waiting:
            return None
        running = sum(trial.status == Trial.RUNNING for trial in live)
        newest_first = self._some_ended and running < self._room - 1
        return (max if newest_first else min)(waiting, key=_age)

    def on_trial_complete(self, *_: Any) -> None:
        """Take note."""
        self._some_ended = True


def _age(trial: Trial) -> tuple[int, int]:
    """Of the policy and, among its heats, of the seeds: smaller is older."""
    return trial.config["trial"], len(trial.config["seeds"])
