"""What happens in a running search, as Tune tells it, for whoever listens: the terminal, MLflow."""

from __future__ import annotations

import logging
import pathlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from ray import tune

from search.config import SearchConfig
from search.records import TrialRecord, TrialStatus
from search.snapshots import SnapshotKeeper
from search.trials import HeatRecord, heat_record, trial_records

TrialListener = Callable[[TrialRecord], None]


_log = logging.getLogger(__name__)


class Watch(tune.Callback):  # type: ignore[misc]
    """Turns Tune's events into `TrialRecord`s.

    Tune pickles its callbacks into the search's folder and unpickles them on a restore; a listener that draws on a
    terminal cannot travel like that. So a pickled watch is a reference to whatever watch is current when it is read.
    """

    _current: Watch | None = None

    def __init__(
        self,
        config: SearchConfig,
        earlier: Iterable[TrialRecord],
        listeners: list[TrialListener],
        tick: Callable[[], None],
        keeper: SnapshotKeeper | None,
    ) -> None:
        self._config = config
        self._keeper = keeper
        self._staging: pathlib.Path | None = None
        self._listeners = listeners
        self._tick = tick
        self._last_tick = 0.0
        self._heats: dict[str, HeatRecord] = {}
        self._told: dict[str, TrialStatus] = {trial.trial_id: trial.status for trial in earlier}
        Watch._current = self

    def __reduce__(self) -> tuple[Any, ...]:
        return _current_watch, ()

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._tell(trials, trial, "running")

    def on_trial_save(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        if not (trial.last_result or {}).get("done"):
            self._tell(trials, trial, "running")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        # Also called for a trial that is stopped with the whole search.
        if (trial.last_result or {}).get("done"):
            self._tell(trials, trial, "finished")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._tell(trials, trial, "failed")

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:  # noqa: ARG002
        if trials:
            self._staging = pathlib.Path(trials[0].storage.experiment_driver_staging_path)
        self.keep_snapshot()
        now = time.monotonic()
        if now - self._last_tick >= 0.25:
            self._last_tick = now
            self._tick()

    def keep_snapshot(self) -> None:
        """Put Tune's newest snapshot aside."""
        if self._keeper is not None and self._staging is not None:
            self._keeper.keep(self._staging)

    def _tell(self, trials: list[Any], trial: Any, status: TrialStatus) -> None:
        """Pass on what changed; the status is what the event says, since Tune sets its own only afterwards."""
        try:
            heat = self._heats[trial.trial_id] = heat_record(trial, status)
            for other in trials:  # those that an earlier run of the search left
                if other.trial_id not in self._heats:
                    self._heats[other.trial_id] = heat_record(other)
            family = heat.suggestion["family"]
            heats = (other for other in self._heats.values() if other.suggestion["family"] == family)
            records = trial_records(heats, self._config)
        except (OSError, ValueError) as error:
            # The storage hiccuped. What is shown live may lack this; the search goes on, and reads it again at its end.
            _log.warning("trial %s could not be read: %s", trial.trial_id, error)
            return
        for record in records:
            changed = record.status != self._told.get(record.trial_id, "pending")
            if changed or record.number == heat.number:
                self._told[record.trial_id] = record.status
                for listener in self._listeners:
                    listener(record)


def _current_watch() -> tune.Callback:
    return Watch._current or tune.Callback()
