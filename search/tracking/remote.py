"""Projects a search in MLflow's process, for a driver that keeps MLflow out of its own."""

from __future__ import annotations

from collections.abc import Mapping

from search.errors import TrackingError
from search.records import SearchRecord, TrialRecord
from search.tracking.messages import Begin, News, Write, Written
from search.tracking.process import MLflowProcess, ProcessGoneError

_PROCESSES = 2
"""The most processes, a second one if the first is gone. A machine without the memory for it must not retry forever."""


class RemoteProjection:
    """Lets another process project a search; that process keeps the trials that it was sent.

    A process that is gone is started once more, and is sent everything.

    Args:
        begin: what to project, and where to.
        process: one that is up already; else one is started when there is something to write.

    Attributes:
        runs: the ids of runs created or changed.
        points: the number of points sent.
        seconds: the seconds spent writing.
    """

    def __init__(self, begin: Begin, process: MLflowProcess | None = None) -> None:
        self.runs: set[str] = set()
        self.points = 0
        self.seconds = 0.0
        self._begin = begin
        self._process = process
        self._begun = 0
        self._sent: dict[str, TrialRecord] | None = None
        self._stopped = False

    @property
    def lost(self) -> bool:
        """True if no process is left to write with."""
        return self._stopped or (self._process is None and self._begun == _PROCESSES)

    def write(
        self, search: SearchRecord, changed: set[str] | None = None, files: Mapping[str, bytes] | None = None
    ) -> str | None:
        """Project everything, or the trials in `changed` (their ids), and wait until that is done.

        Args:
            search: what is known.
            changed: None for everything.
            files: as for `Projection.write`.

        Returns:
            What could not be read or stored, though the rest was; None if nothing is missing.

        Raises:
            TrackingError: the store failed; write everything later.
            ProcessGoneError: the process is gone, or `stop` was called; write everything later, unless it is `lost`.
        """
        try:
            written = self._ask(search, changed, files)
        except ProcessGoneError:
            self.end()
            raise
        self.runs |= written.runs
        self.points += written.points
        self.seconds += written.seconds
        if written.failure is not None:
            raise TrackingError(written.failure)
        return written.problem

    def stop(self) -> None:
        """Kill the process whatever it does. Call it from another thread than the one that writes."""
        self._stopped = True
        process = self._process
        if process is not None:
            process.kill()

    def end(self) -> None:
        """End the process when it has finished what it does."""
        process, self._process, self._sent = self._process, None, None
        if process is not None:
            process.end()

    def _ask(self, search: SearchRecord, changed: set[str] | None, files: Mapping[str, bytes] | None) -> Written:
        if self.lost:
            raise ProcessGoneError("MLflow's process has ended")
        process = self._process = self._process or MLflowProcess()
        if self._sent is None:
            self._begun += 1
            process.send(self._begin)
            self._sent = {}
        for trial in search.trials:
            if self._sent.get(trial.trial_id) is not trial:
                process.send(News(trial))
                self._sent[trial.trial_id] = trial
        request = Write(
            search=search.model_copy(update={"trials": ()}),
            trials=tuple(trial.trial_id for trial in search.trials),
            changed=None if changed is None else frozenset(changed),
            files=files,
        )
        process.send(request)
        written: Written = process.receive()
        return written
