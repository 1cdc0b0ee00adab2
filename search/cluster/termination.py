"""Makes SIGTERM end a driver as Ctrl-C does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """Let SIGTERM, which `ray job stop` sends, save the work as Ctrl-C does within the block.

    Enter the block after Ray has started, since Ray sets a handler of its own. After the block both handlers are
    restored, because Tune leaves a handler of SIGINT behind that would swallow the next Ctrl-C. SIGTERM also works
    where SIGINT is ignored, for example in a background process of a shell script.
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
