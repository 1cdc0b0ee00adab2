"""Makes SIGTERM, and a request to stop in a search's folder, end a driver as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from search.store import SearchStore, StopRequests

_SECONDS_BETWEEN_LOOKS = 0.25


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM, which `ray job stop` sends, save the work as Ctrl-C does within the block.

    After the block both handlers are restored. SIGTERM also works where SIGINT is ignored, for example in a background
    process of a shell script.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with interrupt_handler_kept():
        terminated = signal.signal(signal.SIGTERM, _interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, terminated)


@contextlib.contextmanager
def interrupt_handler_kept() -> Iterator[None]:
    """Restore the handler of SIGINT after the block: Tune leaves one behind that would swallow the next Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, interrupted)


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


def _interrupt(_: int, frame: FrameType | None) -> None:
    interrupted = signal.getsignal(signal.SIGINT)
    if callable(interrupted):
        interrupted(signal.SIGINT, frame)  # Tune's own handler, or Python's
    else:
        raise KeyboardInterrupt
