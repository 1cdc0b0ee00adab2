"""Runs the process that writes to MLflow for a search; `search.tracking.process` starts it and sends it messages.

It ends when it is told to, or when its driver is gone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import threading
import time
import warnings
from multiprocessing.connection import Connection

from search.errors import TrackingError
from search.records import TrialRecord
from search.tracking.check import check_tracking
from search.tracking.messages import Begin, Check, Checked, News, Write, Written
from search.tracking.problems import explain
from search.tracking.projection import Projection

_NICENESS = 5
_SECONDS_BETWEEN_LOOKS = 1.0


class Projector:
    """Projects one search on request.

    Args:
        begin: what to project, and where to.
    """

    def __init__(self, begin: Begin) -> None:
        self._uri = begin.uri
        self._projection = Projection(begin.uri, begin.experiment, begin.read_decisions, begin.confirmation)
        self._trials: dict[str, TrialRecord] = {}

    def note(self, trial: TrialRecord) -> None:
        """Keep a trial's newest state."""
        self._trials[trial.trial_id] = trial

    def write(self, request: Write) -> Written:
        """Write what is asked for; a failure of the store is returned, not raised."""
        projection, tally, failure = self._projection, self._projection.tally, None
        tally.runs.clear()
        tally.points, tally.problem = 0, None
        search = request.search.model_copy(update={"trials": tuple(self._trials[key] for key in request.trials)})
        began = time.monotonic()
        try:
            if request.changed is None:
                projection.write(search, request.files)
            else:
                projection.write_trials(search, set(request.changed))
        except Exception as error:  # from MLflow, a database, requests …: the driver retries later
            projection.forget()
            failure = explain(self._uri, error)
        return Written(
            runs=frozenset(tally.runs),
            points=tally.points,
            seconds=time.monotonic() - began,
            failure=failure,
            problem=tally.problem,
        )


def serve(connection: Connection) -> None:
    """Carry out one message after another until the connection is closed."""
    projector: Projector | None = None
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            message = pickle.loads(connection.recv_bytes())
            match message:
                case Check(uri):
                    connection.send_bytes(pickle.dumps(_check(uri)))
                case Begin():
                    projector = Projector(message)
                    os.nice(_NICENESS)  # from here on nobody waits for it until the search has ended
                case News(trial) if projector is not None:
                    projector.note(trial)
                case Write() if projector is not None:
                    connection.send_bytes(pickle.dumps(projector.write(message)))
                case _:
                    raise ValueError(f"{type(message).__name__} was not expected")


def _check(uri: str) -> Checked:
    try:
        check_tracking(uri)
    except TrackingError as error:
        return Checked(str(error))
    return Checked(None)


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
