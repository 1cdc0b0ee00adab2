"""Makes SIGTERM, and a request to stop in a search's folder, end a driver as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

from search.store import SearchStore, StopRequests

SAME_REQUEST = 0.5
"""Seconds within which signals are one request, since a terminal and a parent may both send one."""
_SECONDS_BETWEEN_LOOKS = 0.25


class _Handler:
    """Turns each request to end the program into one KeyboardInterrupt, or tells what runs to come to an end.

    Args:
        once: True if something else deals with later requests.
    """

    def __init__(self, *, once: bool) -> None:
        self.once = once
        self.running: threading.Event | None = None
        """Is set in place of a KeyboardInterrupt; None if nothing runs that comes to an end by itself."""
        self._last: float | None = None

    @property
    def asked(self) -> bool:
        """True once there was a request."""
        return self._last is not None

    def __call__(self, *_: object) -> None:
        now, last = time.monotonic(), self._last
        self._last = now
        if last is not None and (self.once or now - last < SAME_REQUEST):
            return
        if self.running is None or self.running.is_set():
            raise KeyboardInterrupt
        self.running.set()


_handlers: list[_Handler] = []
"""The handler of the process, if there is one."""


@contextlib.contextmanager
def terminated_like_interrupted(*, once: bool = False) -> Iterator[None]:
    """Let SIGTERM, which `ray job stop` sends, save the work as Ctrl-C does within the block.

    After the block both handlers are restored. A SIGINT that is ignored stays so, as in a background process of a shell
    script; SIGTERM works there, too. A block within another changes nothing.

    Args:
        once: True if only the first request is to raise KeyboardInterrupt. The handlers then stay after a block that a
            request ended, so that no later one disturbs what is put away.
    """
    if _handlers or threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = _Handler(once=once)
    numbers = [signal.SIGTERM]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        numbers.append(signal.SIGINT)
    earlier = {number: signal.signal(number, handler) for number in numbers}
    _handlers.append(handler)
    try:
        yield
    finally:
        _handlers.remove(handler)
        if not (once and handler.asked):
            for number, before in earlier.items():
                signal.signal(number, before)


@contextlib.contextmanager
def interruption_sets(event: threading.Event) -> Iterator[None]:
    """Let a request set an event within the block, in place of a KeyboardInterrupt; the second one raises it."""
    if not _handlers:
        yield
        return
    _handlers[-1].running = event
    try:
        yield
    finally:
        _handlers[-1].running = None


@contextlib.contextmanager
def stopped_on_request(store: SearchStore, command: str) -> Iterator[None]:
    """Let `kd-search stop` end the work within the block as SIGTERM does; enter it within the search's lock.

    Args:
        store: of the search; in an object store nobody can ask.
        command: the command that resumes the work: `resume`, `confirm` or `transfer`.
    """
    folder = store.local_folder
    if folder is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    requests, over = StopRequests(folder), threading.Event()

    def watch() -> None:
        while not over.wait(_SECONDS_BETWEEN_LOOKS):
            if requests.taken():
                os.kill(os.getpid(), signal.SIGTERM)

    with requests.answered(command), terminated_like_interrupted():
        watcher = threading.Thread(target=watch, name="stop-requests", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()
