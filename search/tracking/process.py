"""Starts and ends MLflow's process for a search's driver, and exchanges messages with it.

MLflow and its database layer take seconds to import and tens of milliseconds of CPU a trial. In a process of their own
they do not hold the driver's lock meanwhile.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
from typing import Any, Self

from search.errors import TrackingError
from search.settings import without_password

# Not `multiprocessing.Process`, which would run the user's own program again to find its target.
_PROGRAM = "import sys; sys.path[:] = sys.argv[1].split(sys.argv[2]); from search.tracking.child import main; main()"
_SECONDS_TO_END = 5.0
_OF_MEMORY = ", which is what happens where memory runs out"


class ProcessGoneError(TrackingError):
    """MLflow's process is gone, though it was not told to end."""


class MLflowProcess:
    """A process that is started at once; used as a context manager, it is ended with the block.

    It inherits the environment, so it finds the credentials of a store as this process would. It has its own process
    group, so Ctrl-C does not reach it. It outlives this process by a second or two at most.

    Only `kill` may be called from another thread.

    Attributes:
        pid: the process's id.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self) -> None:
        self._asked: str | None = None
        self._connection, there = multiprocessing.Pipe()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        with there:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, os.pathsep.join(sys.path), os.pathsep],
                stdin=there.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                process_group=0,  # not a session, to which some schedulers would give its own share of the CPU
            )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def begin_check(self, uri: str) -> None:
        """Let it check whether a search can write to a store; `end_check` waits for the answer."""
        self._asked = uri
        self._send("check", uri=uri)

    def end_check(self) -> None:
        """Wait for the answer to `begin_check`.

        Raises:
            TrackingError: as `check_tracking`, or the process ended meanwhile.
        """
        assert self._asked is not None
        try:
            self._receive()
        except ProcessGoneError as error:
            raise TrackingError(
                f"the MLflow store {without_password(self._asked)!r} was not opened: {error}"
            ) from error
        self._asked = None

    def ask(self, method: str, **arguments: Any) -> Any:
        """Let it call a method of `search.tracking.child.Projector`; wait for the result, and return it.

        Raises:
            TrackingError: raised by the method.
            ProcessGoneError: it is gone.
        """
        self._send(method, **arguments)
        return self._receive()

    def kill(self) -> None:
        """Kill it whatever it does; a thread that waits for its answer gets `ProcessGoneError`."""
        self._process.kill()

    def end(self) -> None:
        """End it, which takes a fraction of a second if it has nothing to do; else it is killed."""
        self._connection.close()
        try:
            self._process.wait(0.0 if self._asked else _SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def _send(self, method: str, **arguments: Any) -> None:
        try:
            self._connection.send_bytes(pickle.dumps((method, arguments)))  # `send` takes longer for a long history
        except OSError as error:
            raise self._ended() from error

    def _receive(self) -> Any:
        try:
            answer = self._connection.recv()
        except (EOFError, OSError) as error:
            raise self._ended() from error
        if isinstance(answer, TrackingError):
            raise answer
        return answer

    def _ended(self) -> ProcessGoneError:
        try:
            code = self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            return ProcessGoneError("MLflow's process does not answer")
        if code < 0:
            return ProcessGoneError(f"MLflow's process was killed by signal {-code}{_OF_MEMORY if code == -9 else ''}")
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return ProcessGoneError(f"MLflow's process ended: {lines[-1] if lines else f'exit status {code}'}")
