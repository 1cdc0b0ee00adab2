"""Lets any process ask the one that runs a search to stop, through files in the search's folder.

A file reaches the process whatever machine it runs on, if both see the folder. It cannot hit another process that got
the id of one that is gone, as a signal could. Whether a process runs the search at all is the lock's to say.
"""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import socket
from collections.abc import Iterator
from typing import NamedTuple

_REQUEST = ".stop"
_RUNNER = ".runner.json"
STOPPING_FILES = (_REQUEST, _RUNNER)


class Runner(NamedTuple):
    """The process that runs a search or its confirmation, for messages."""

    command: str
    """`resume`, `confirm` or `transfer`: what continues its work."""
    host: str
    pid: int


class StopRequests:
    """The requests to stop in a search's folder.

    Args:
        folder: the search's folder.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._request, self._runner = folder / _REQUEST, folder / _RUNNER

    @contextlib.contextmanager
    def answered(self, command: str) -> Iterator[None]:
        """Note within the block that this process runs the search; it must hold the search's lock.

        Requests from before the block, which nobody answered, are dropped.
        """
        self.withdraw()
        with contextlib.suppress(OSError):  # a full disk must not keep a search from running
            self._runner.write_text(json.dumps(Runner(command, socket.gethostname(), os.getpid())._asdict()))
        try:
            yield
        finally:
            self.withdraw()
            with contextlib.suppress(OSError):
                self._runner.unlink()

    def taken(self) -> bool:
        """Tell whether somebody has asked, and remove the request, which tells that it was noticed."""
        try:
            self._request.unlink()
        except OSError:
            return False
        return True

    def ask(self) -> None:
        """Ask the process that runs the search to stop.

        Raises:
            OSError: the folder cannot be written.
        """
        self._request.touch()

    def is_waiting(self) -> bool:
        """Tell whether a request was not noticed yet."""
        return self._request.exists()

    def withdraw(self) -> None:
        """Remove a request that was not noticed."""
        with contextlib.suppress(OSError):
            self._request.unlink()

    def runner(self) -> Runner | None:
        """Return the process that runs the search, as it noted itself; None if it did not."""
        try:
            return Runner(**json.loads(self._runner.read_text()))
        except (OSError, ValueError, TypeError):
            return None
