"""Runs the process that writes to MLflow for a search; `search.tracking.process` starts it and sends it messages.

It ends when it is told to, or when its driver is gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection

from search.errors import TrackingError
from search.records import SearchRecord, TrialRecord
from search.tracking.check import check_tracking
from search.tracking.problems import explain
from search.tracking.projection import Projection
from search.tracking.runs import Tally

_NICENESS = 5
_SECONDS_BETWEEN_LOOKS = 1.0


class Projector:
    """Answers messages: the name of a method and its arguments. A `TrackingError` is an answer, too."""

    _projection: Projection

    def check(self, uri: str) -> None:
        """Check that a search can write to a store; raise TrackingError if it cannot."""
        check_tracking(uri)

    def begin(self, projection: Projection) -> None:
        """Begin a projection, which has not written yet."""
        self._projection = projection
        self._trials: dict[str, TrialRecord] = {}
        os.nice(_NICENESS)  # from here on nobody waits for it until the search has ended

    def write(
        self, search: SearchRecord, order: Sequence[str], files: Mapping[str, bytes] | None, *, everything: bool
    ) -> Tally:
        """Bring the store up to date.

        Args:
            search: as it is now, of its trials only those that have changed since it was last sent.
            order: the ids of all of its trials.
            files: as for `Projection.write`.
            everything: False to write only the trials that were sent.

        Returns:
            What was written since the beginning.

        Raises:
            TrackingError: the store failed.
        """
        changed = {trial.trial_id: trial for trial in search.trials}
        self._trials |= changed
        search = search.model_copy(update={"trials": tuple(self._trials[key] for key in order)})
        try:
            self._projection.write(search, files, None if everything else changed.keys())
        except Exception as error:  # from MLflow, a database, requests …: the driver retries later
            raise TrackingError(explain(self._projection.uri, error)) from error
        return self._projection.tally


def serve(connection: Connection) -> None:
    """Answer one message after another until the connection is closed."""
    projector = Projector()
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            method, arguments = connection.recv()
            try:
                answer = getattr(projector, method)(**arguments)
            except TrackingError as error:
                answer = error
            connection.send(answer)


def main() -> None:
    """Serve the process at the other end of the socket that is this process's standard input."""
    # A search that is told to stop closes its runs through this process, so signals must not end it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # The terminal is the search's; errors are sent as answers.
    warnings.simplefilter("ignore")
    logging.disable()
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    with Connection(os.dup(0)) as connection:
        serve(connection)


def _end_with(parent: int) -> None:
    """End this process when its driver is gone, also in the middle of a request to a store that hangs."""
    while os.getppid() == parent:
        time.sleep(_SECONDS_BETWEEN_LOOKS)
    os._exit(1)
