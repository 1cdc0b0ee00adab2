"""Keeps MLflow up to date while a search runs, through a process that the search never waits for."""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Mapping
from typing import Self

from search.records import SearchRecord, TrialRecord
from search.tracking.confirmed import TrackedConfirmation
from search.tracking.messages import Begin
from search.tracking.process import MLflowProcess, ProcessGoneError
from search.tracking.projection import ReadDecisions
from search.tracking.remote import RemoteProjection
from search.tracking.synchronise import TrackingReport

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_SECONDS_TO_FINISH = 120.0  # a thousand trials on a busy machine, where MLflow's import alone may take half a minute
_SECONDS_OF_ATTEMPTS = 30.0  # where the store fails
_SECONDS_TO_ABANDON = 10.0
_SECONDS_TO_NOTICE = 2.0


class LiveProjection:
    """Projects trials as they change; a context manager around the search.

    `update` only leaves the latest record of each trial for a thread. So neither memory nor the driver's time depends
    on MLflow. The thread sends what has changed to MLflow's process, and waits for it. While the store is down, it
    retries after ever longer pauses. Since a record holds a trial's whole history, the first success makes up for all
    that was missed.

    Args:
        search: the search, and the trials that an earlier run of it left.
        uri: of the MLflow store.
        experiment: of MLflow, by name.
        read_decisions: as for `Projection`; pickled, since it is called in MLflow's process.
        confirmation: as for `Projection`; an earlier run's, without `read_student`.
        process: MLflow's, if it is up already; it is ended here.
        interval: the fewest seconds between two rounds of writing.
    """

    def __init__(
        self,
        search: SearchRecord,
        uri: str,
        experiment: str,
        *,
        read_decisions: ReadDecisions | None = None,
        confirmation: TrackedConfirmation | None = None,
        process: MLflowProcess | None = None,
        interval: float = 2.0,
    ) -> None:
        begin = Begin(uri=uri, experiment=experiment, read_decisions=read_decisions, confirmation=confirmation)
        self._projection = RemoteProjection(begin, process)
        self._files: Mapping[str, bytes] | None = None
        self._search = search
        self._interval = interval
        self._latest = {trial.trial_id: trial for trial in search.trials}
        self._changed: set[str] = set()
        self._closing = False
        self._wake = threading.Condition()
        self._error: str | None = None
        self._problem: str | None = None
        self._complete = False
        self._give_up_at = self._last_attempt_by = float("inf")
        self._thread = threading.Thread(target=self._run, name="mlflow-projection", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        if not self._closing:
            with self._wake:
                trials = tuple(sorted(self._latest.values(), key=lambda trial: trial.number))
            stopped = self._search.model_copy(update={"status": "stopped", "trials": trials})
            self.finish(stopped, timeout=_SECONDS_TO_ABANDON)

    def update(self, trial: TrialRecord) -> None:
        """Note a trial's new state; takes microseconds, never fails."""
        with self._wake:
            self._latest[trial.trial_id] = trial
            self._changed.add(trial.trial_id)
            self._wake.notify()

    def finish(
        self, search: SearchRecord, files: Mapping[str, bytes] | None = None, timeout: float = _SECONDS_TO_FINISH
    ) -> TrackingReport:
        """Project the search's final state and end thread and process.

        Args:
            search: all that is known now; it replaces what was given to `update`.
            files: path -> content, kept with the search's own run.
            timeout: seconds to wait while it writes, but at most 30 for a store that fails. After them the report says
                that MLflow is incomplete, and `sync` can complete it.
        """
        with self._wake:
            self._search = search
            self._files = files
            self._latest = {trial.trial_id: trial for trial in search.trials}
            self._closing = True
            self._give_up_at = time.monotonic() + timeout
            self._last_attempt_by = time.monotonic() + min(timeout, _SECONDS_OF_ATTEMPTS)
            self._wake.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._projection.stop()
            self._thread.join(_SECONDS_TO_NOTICE)
        self._projection.end()
        return TrackingReport(
            runs=len(self._projection.runs),
            points=self._projection.points,
            seconds=self._projection.seconds,
            complete=self._complete,
            error=self._error,
        )

    def _run(self) -> None:
        everything, failed = True, False
        pause = _FIRST_PAUSE
        while True:
            with self._wake:
                # Nothing is written before the first trial runs: creating a new store takes seconds of CPU that the
                # driver and its first workers need.
                if not failed:
                    self._wake.wait_for(lambda: self._changed or self._closing)
                closing = self._closing
                changed, self._changed = self._changed, set()
                trials = tuple(sorted(self._latest.values(), key=lambda trial: trial.number))
                search = self._search.model_copy(update={"trials": trials})
            succeeded = self._write(search, None if everything or closing else changed)
            if self._projection.lost or (closing and (succeeded or time.monotonic() >= self._last_attempt_by)):
                self._complete = succeeded and self._problem is None
                return
            everything = failed = not succeeded
            self._sleep(self._interval if succeeded else pause, closing=closing)
            pause = _FIRST_PAUSE if succeeded or closing else min(2 * pause, _LONGEST_PAUSE)

    def _write(self, search: SearchRecord, changed: set[str] | None) -> bool:
        try:
            self._problem = self._projection.write(search, changed, self._files)
        except ProcessGoneError as error:
            # Once the time is up, the process is ended from here. An earlier error explains better why it took so long.
            self._error = self._error if time.monotonic() >= self._give_up_at else str(error)
            return False
        except Exception as error:  # also from pickling: the search must continue whatever it is
            self._error = str(error)
            return False
        self._error = self._problem or self._error
        return True

    def _sleep(self, seconds: float, *, closing: bool) -> None:
        """Wait. The end of the search cuts the wait short, but not the pause between two last attempts."""
        with self._wake:
            if closing:
                self._wake.wait(min(seconds, max(0.0, self._last_attempt_by - time.monotonic())))
            else:
                self._wake.wait_for(lambda: self._closing, timeout=seconds)
