"""Writes a monitor's records to an MLflow run, from a thread of its own: a slow server does not slow the training."""

from __future__ import annotations

import logging
import pathlib
import queue
import tempfile
import threading
import time
from collections.abc import Sequence

from policies.errors import PolicyError
from policies.monitoring.log import LOG_FILE
from policies.monitoring.sinks import JsonLines, Record, scalars_of, told_of

PREFIX = "kd/"
"""The group of the metrics."""
ALARM_TAG = "kd.alarm"
"""The run's tag with the first alarm, by which runs can be filtered."""

_MOST_WAITING = 1000
"""The most batches of records that wait for the server."""
_MOST_METRICS = 1000
"""The most metrics that MLflow takes in one call."""
_CLOSING_SECONDS = 60.0

_log = logging.getLogger(__name__)


class MLflowRun:
    """Logs λ and the readings as metrics, alarms as a tag, and the whole log as the artifact `kd-policy.jsonl`.

    `kd-search explain runs:/RUN_ID` reads the artifact, which is written at the end, at each alarm, and once a minute.
    If the server does not answer, the training goes on. The records stay in the artifact's file, and a warning says
    that curves are missing.

    Args:
        run_id: the run; by default the active one.
        tracking_uri: its store; by default MLflow's own.
        seconds: the time between two calls of the server.

    Raises:
        PolicyError: MLflow is not installed, or no run is active and none is named.
    """

    def __init__(self, run_id: str | None = None, *, tracking_uri: str | None = None, seconds: float = 5.0) -> None:
        try:
            import mlflow
        except ImportError as error:
            raise PolicyError(
                "`MLflowRun` needs the package `mlflow`, which is not installed; install it with `pip install mlflow`,"
                " or pass a file's name as `to` instead."
            ) from error
        active = mlflow.active_run()
        if run_id is None and active is None:
            raise PolicyError(
                "`run_id` is not given, and no MLflow run is active; create the monitor inside"
                " `with mlflow.start_run():`, or name a run."
            )
        self.run_id = str(run_id or active.info.run_id)
        self._client = mlflow.MlflowClient(tracking_uri)
        self._seconds = seconds
        self._folder = tempfile.TemporaryDirectory(prefix="kd-policy-")
        self._path = pathlib.Path(self._folder.name) / LOG_FILE
        self._file = JsonLines(self._path)
        self._waiting: queue.Queue[Sequence[Record] | None] = queue.Queue(_MOST_WAITING)
        self._failed = False
        self._tagged = False
        self._stored = time.monotonic()
        self._thread = threading.Thread(target=self._work, name="kd-policy-mlflow", daemon=True)
        self._thread.start()

    def write(self, records: Sequence[Record]) -> None:
        """Hand the records to the thread."""
        self._file.write(records)
        try:
            self._waiting.put_nowait(records)
        except queue.Full:
            self._warn("it has not answered for long")

    def close(self) -> None:
        """Wait until all is sent, a minute at most."""
        self._file.close()
        try:
            self._waiting.put(None, timeout=_CLOSING_SECONDS)
        except queue.Full:
            self._warn("it has not answered for long")
            return
        self._thread.join(_CLOSING_SECONDS)
        if self._thread.is_alive():
            self._warn("it has not answered when the training ended")
        else:
            self._folder.cleanup()

    def _work(self) -> None:
        ended = False
        while not ended:
            batches = [self._waiting.get()]
            if batches[0] is not None and not any(map(told_of, batches[0])):
                batches += self._collect()
            ended = None in batches
            try:
                self._send([record for batch in batches if batch is not None for record in batch], ended)
            except Exception as error:  # a server may fail in any way; none may end the training
                self._warn(f"{type(error).__name__}: {error}")

    def _collect(self) -> list[Sequence[Record] | None]:
        """Wait for further batches until it is time to call the server, the monitor closes, or an alarm comes."""
        found: list[Sequence[Record] | None] = []
        until = time.monotonic() + self._seconds
        while (left := until - time.monotonic()) > 0.0:
            try:
                found.append(batch := self._waiting.get(timeout=left))
            except queue.Empty:
                break
            if batch is None or any(map(told_of, batch)):
                break
        return found

    def _send(self, records: list[Record], ended: bool) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(f"{PREFIX}{name}", value, int(1000 * record["time"]), record["step"])
            for record in records
            for name, value in scalars_of(record).items()
        ]
        for first in range(0, len(metrics), _MOST_METRICS):
            self._client.log_batch(self.run_id, metrics=metrics[first : first + _MOST_METRICS])
        told = [text for record in records if (text := told_of(record))]
        if told and not self._tagged:
            self._client.set_tag(self.run_id, ALARM_TAG, told[0][:5000])
            self._tagged = True
        if ended or told or time.monotonic() - self._stored > 60.0:
            self._client.log_artifact(self.run_id, str(self._path))
            self._stored = time.monotonic()

    def _warn(self, problem: str) -> None:
        if not self._failed:
            self._failed = True
            _log.warning(
                "MLflow did not take all records of run %s (%s); its curves have gaps, and the training goes on",
                self.run_id,
                problem,
            )
