"""What a driver does when it is told to end."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Within the block, SIGTERM (what `ray job stop` sends) saves the work as Ctrl-C does.

    Enter it after Ray has started, which sets a handler of its own. After it both signals do what they did before:
    Tune leaves a handler of SIGINT behind that would swallow the next Ctrl-C. SIGTERM works also where SIGINT is
    ignored, as it is in what a script's shell runs in the background.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    interrupted = signal.getsignal(signal.SIGINT)
    terminated = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, terminated)
        signal.signal(signal.SIGINT, interrupted)


def _interrupt(*_: object) -> None:
    if callable(signal.getsignal(signal.SIGINT)):
        os.kill(os.getpid(), signal.SIGINT)  # Tune's own handler, or Python's
    else:
        raise KeyboardInterrupt
