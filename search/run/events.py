"""Reports the events of a running search, as Tune gives them, to listeners: the terminal, MLflow."""

from __future__ import annotations

import logging
import pathlib
import time
from collections.abc import Callable, Iterable
from typing import Any

from ray import tune

from search.errors import SearchError
from search.records import TrialRecord, TrialStatus
from search.settings import SearchConfig
from search.store import (
    SnapshotKeeper,
    TrialBook,
    drop_older_checkpoints,
    forget_earlier_sessions,
    heat_record,
    note_trial,
)

TrialListener = Callable[[TrialRecord], None]


_log = logging.getLogger(__name__)


class SearchEvents(tune.Callback):  # type: ignore[misc]
    """Turns Tune's events into `TrialRecord`s.

    Tune pickles its callbacks into the search's folder and unpickles them on a restore. A listener that draws on a
    terminal cannot be pickled. So a pickle of one is a reference to the one that is current when it is read.

    Args:
        config: of the search.
        earlier: its trials as an earlier run left them; none if it begins.
        listeners: called with every trial that starts, progresses or ends.
        tick: called a few times a second.
        keeper: of Tune's snapshots; None where they need none.
        most_failures: how often a trial that fails is retried. Tune has stored with search and trials the number where
            they were begun, which may have been another machine.
    """

    _current: SearchEvents | None = None

    def __init__(
        self,
        config: SearchConfig,
        earlier: Iterable[TrialRecord],
        listeners: list[TrialListener],
        tick: Callable[[], None],
        keeper: SnapshotKeeper | None,
        most_failures: int,
    ) -> None:
        self._config = config
        self._keeper = keeper
        self._staging: pathlib.Path | None = None
        self._listeners = listeners
        self._tick = tick
        self._last_tick = 0.0
        self._book = TrialBook(config)
        self._known: set[str] = set()
        """The ids of Tune's trials that are in the book."""
        self._noted: set[str] = set()
        """The ids of trials that have a file in their folder."""
        self._ended: list[Any] = []
        """The trials that ended in this step of Tune's loop, but are not noted yet."""
        self._told: dict[str, TrialStatus] = {trial.trial_id: trial.status for trial in earlier}
        self._must_be_restored = bool(self._told)
        """True until Tune's first step shows that the search was restored."""
        self._most_failures = most_failures
        self._restored_in: pathlib.Path | None = None
        SearchEvents._current = self

    def __reduce__(self) -> tuple[Any, ...]:
        return _current_events, ()

    def resize(self, config: SearchConfig) -> None:
        """Continue as the same search with another size."""
        self._config = config
        self._book.resize(config)

    def restores_in(self, staging: pathlib.Path | None) -> None:
        """Note the folder that Tune is going to copy its snapshot to for the restore."""
        self._restored_in = staging

    def setup(self, **info: Any) -> None:  # noqa: ARG002
        # Tune has restored what it can, and has not saved anything yet. Its loop comes next. It has no step in a search
        # that is finished, or has been interrupted by now.
        if self._restored_in is not None:
            forget_earlier_sessions(self._restored_in)

    def on_step_begin(self, iteration: int, trials: list[Any], **info: Any) -> None:  # noqa: ARG002
        if self._must_be_restored and not trials:
            raise SearchError(
                f"Tune could not restore the search {self._config.name!r} (its error is above) and would have"
                " started it from the beginning. Nothing was run or changed. Resume it with the release of Ray that it"
                " began with."
            )
        self._must_be_restored = False
        for trial in trials:  # all of them: Tune's list changes its order when a trial is retried
            trial.max_failures = self._most_failures

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._tell(trials, trial, "running")

    def on_trial_save(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        if not (trial.last_result or {}).get("done"):
            self._tell(trials, trial, "running")

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        # Also called for a trial that is stopped with the whole search.
        if (trial.last_result or {}).get("done"):
            self._ended.append(trial)
            self._tell(trials, trial, "finished")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._ended.append(trial)
        self._tell(trials, trial, "failed")

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:  # noqa: ARG002
        if trials:
            self._staging = pathlib.Path(trials[0].storage.experiment_driver_staging_path)
        self._note(trials)
        self.keep_snapshot()
        now = time.monotonic()
        if now - self._last_tick >= 0.25:
            self._last_tick = now
            self._tick()

    def keep_snapshot(self, *, last: bool = False) -> None:
        """Keep Tune's newest snapshot; the `last` one comes after Tune's loop."""
        if self._keeper is not None and self._staging is not None:
            self._keeper.keep(self._staging, last=last)

    def _note(self, trials: list[Any]) -> None:
        """Note new and ended trials in their folders, since Tune's last snapshot may be seconds old."""
        new = []
        if len(trials) > len(self._noted):
            new = [t for t in trials if t.trial_id not in self._noted and t.storage.trial_dir_name]
        ended, self._ended = self._ended, []
        for trial in [*new, *ended]:
            self._noted.add(trial.trial_id)
            if trial.is_finished() and trial not in ended:
                continue  # it ended in an earlier run of the search
            try:
                note_trial(trial)
                if trial in ended:
                    drop_older_checkpoints(trial)
            except OSError as error:
                _log.warning("the state of trial %s could not be stored: %s", trial.trial_id, error)

    def _tell(self, trials: list[Any], trial: Any, status: TrialStatus) -> None:
        """Pass changes to the listeners. The status is the event's, since Tune sets its own only afterwards."""
        try:
            heat = heat_record(trial, status)
            if len(self._known) < len(trials):
                for other in trials:  # new ones, and those that an earlier run of the search left
                    if other.trial_id not in self._known:
                        self._book.note(heat_record(other))
                        self._known.add(other.trial_id)
            records = self._book.changed(heat)
        except (OSError, ValueError) as error:
            # The storage failed. The live view may lack this; the search continues, and reads it again at its end.
            _log.warning("the state of trial %s could not be read: %s", trial.trial_id, error)
            return
        for record in records:
            changed = record.status != self._told.get(record.trial_id, "pending")
            if changed or record.number == heat.number:
                self._told[record.trial_id] = record.status
                for listener in self._listeners:
                    listener(record)


def _current_events() -> tune.Callback:
    return SearchEvents._current or tune.Callback()
