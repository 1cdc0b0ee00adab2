"""Keeps MLflow up to date while a search runs, through a process that the search never waits for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Self

from search.records import SearchRecord, TrialRecord
from search.tracking.confirmed import TrackedConfirmation
from search.tracking.process import MLflowProcess, ProcessGoneError
from search.tracking.projection import Projection, ReadDecisions
from search.tracking.synchronise import TrackingReport

_PROCESSES = 2
"""The most processes, a second one if the first is gone. A machine without the memory for it must not retry forever."""
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
    that was missed. A process that is gone is started once more, and is sent everything.

    Args:
        search: the search, and the trials that an earlier run of it left.
        uri: of the MLflow store.
        experiment: of MLflow, by name.
        read_decisions: as for `Projection`; pickled, since it is called in MLflow's process.
        confirmation: as for `Projection`; an earlier run's, without `read_student`.
        process: MLflow's, if it is up already; it is ended here.
        opened: called once, in the thread, with the address of the search's trials on an MLflow server.
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
        opened: Callable[[str], None] | None = None,
        interval: float = 2.0,
    ) -> None:
        self._opened = opened
        self._projection = Projection(uri, experiment, read_decisions, confirmation)
        self._process = process
        self._processes = 0
        self._sent: dict[str, TrialRecord] | None = None
        self._stopped = False
        self._files: Mapping[str, bytes] | None = None
        self._search = search
        self._interval = interval
        self._latest = {trial.trial_id: trial for trial in search.trials}
        self._has_news = False
        self._closing = False
        self._wake = threading.Condition()
        self._error: str | None = None
        self._complete = False
        self._last_attempt_by = float("inf")
        self._thread = threading.Thread(target=self._run, name="mlflow-projection", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if not self._closing:
            self.finish(self._newest().model_copy(update={"status": "stopped"}), timeout=_SECONDS_TO_ABANDON)

    def update(self, trial: TrialRecord) -> None:
        """Note a trial's new state; takes microseconds, never fails."""
        with self._wake:
            self._latest[trial.trial_id] = trial
            self._has_news = True
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
            self._last_attempt_by = time.monotonic() + min(timeout, _SECONDS_OF_ATTEMPTS)
            self._wake.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            self._stopped = True
            if (process := self._process) is not None:
                process.kill()
            self._thread.join(_SECONDS_TO_NOTICE)
        self._end_process()
        return TrackingReport.of(self._projection.tally, complete=self._complete, error=self._error)

    def _newest(self) -> SearchRecord:
        with self._wake:
            trials = tuple(sorted(self._latest.values(), key=lambda trial: trial.number))
            return self._search.model_copy(update={"trials": trials})

    def _run(self) -> None:
        everything, succeeded, pause = True, True, _FIRST_PAUSE
        while True:
            with self._wake:
                # Nothing is written before the first trial runs: creating a new store takes seconds of CPU that the
                # driver and its first workers need.
                if succeeded:
                    self._wake.wait_for(lambda: self._has_news or self._closing)
                closing, self._has_news = self._closing, False
                search = self._newest()
            succeeded = self._write(search, everything=everything or closing)
            lost = self._stopped or (self._process is None and self._processes == _PROCESSES)
            if lost or (closing and (succeeded or time.monotonic() >= self._last_attempt_by)):
                self._complete = succeeded and self._projection.tally.problem is None
                return
            everything = not succeeded
            self._sleep(self._interval if succeeded else pause, closing=closing)
            pause = _FIRST_PAUSE if succeeded or closing else min(2 * pause, _LONGEST_PAUSE)

    def _write(self, search: SearchRecord, *, everything: bool) -> bool:
        try:
            self._send(search, everything=everything)
        except Exception as error:  # also from pickling: the search must continue whatever it is
            if isinstance(error, ProcessGoneError):
                self._end_process()
            # A process that was stopped says nothing: an earlier error explains better why it took so long.
            self._error = self._error if self._stopped else str(error)
            return False
        tally = self._projection.tally
        self._error = tally.problem or self._error
        if self._opened is not None and tally.address is not None:
            self._opened(tally.address)
            self._opened = None
        return True

    def _send(self, search: SearchRecord, *, everything: bool) -> None:
        """Let the process write everything, or the trials that it has not been sent yet, and wait until that is done.

        It keeps the trials that it was sent.
        """
        if self._stopped:
            raise ProcessGoneError("MLflow's process has ended")
        process = self._process = self._process or MLflowProcess()
        if self._sent is None:
            self._processes += 1
            process.ask("begin", projection=self._projection)
            self._sent = {}
        sent, self._sent = self._sent, {trial.trial_id: trial for trial in search.trials}
        changed = tuple(trial for trial in search.trials if sent.get(trial.trial_id) is not trial)
        self._projection.tally = process.ask(  # kept, so that a second process counts on
            "write",
            search=search.model_copy(update={"trials": changed}),
            order=list(self._sent),
            files=self._files,
            everything=everything,
        )

    def _end_process(self) -> None:
        process, self._process, self._sent = self._process, None, None
        if process is not None:
            process.end()

    def _sleep(self, seconds: float, *, closing: bool) -> None:
        """Wait. The end of the search cuts the wait short, but not the pause between two last attempts."""
        with self._wake:
            if closing:
                self._wake.wait(min(seconds, max(0.0, self._last_attempt_by - time.monotonic())))
            else:
                self._wake.wait_for(lambda: self._closing, timeout=seconds)
