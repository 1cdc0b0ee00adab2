"""Says at once that Ctrl-C was noticed and what is kept; a second Ctrl-C ends the program without waiting."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import click

from search.cluster import SAME_REQUEST, terminated_like_interrupted
from search.progress import Terminal

INTERRUPTED = 128 + signal.SIGINT
"""A shell's exit code for a program that Ctrl-C ended."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ANSWERED_WITHIN = 5.0
_AGAIN = "Press Ctrl-C again to end at once; no finished training is lost by that."


class Interruption:
    """Watches for Ctrl-C and SIGTERM in a thread of its own, so that it answers whatever the program is doing.

    Python runs a signal's handler only between two steps of its main thread, and a start of Ray or a step of PyTorch
    may take seconds. The operating system notes each signal in a pipe at once.

    Args:
        console: where the answer is written.
        kept: says what was interrupted and what is kept, in one sentence.
        remedy: says what to type to go on.
    """

    def __init__(self, console: Terminal, kept: Callable[[], str], remedy: Callable[[], str]) -> None:
        self._console, self._kept, self._remedy = console, kept, remedy
        self._last: float | None = None
        self._own = False
        """True while a signal of this object's own is under way."""
        self.answered = threading.Event()
        """Set once the first signal has been answered."""

    @property
    def asked(self) -> bool:
        """True once the user wants the program to end."""
        return self._last is not None

    def notice(self, number: int) -> None:
        """Answer a signal; at a second request the process ends here, with exit code 130."""
        if number == signal.SIGTERM and self._own:
            self._own = False
            return
        now = time.monotonic()
        if number not in _SIGNALS or (self._last is not None and now - self._last < SAME_REQUEST):
            return
        first, self._last = self._last is None, now
        with contextlib.suppress(Exception):  # a closed pipe must not keep the program from ending
            if first:
                self._say(f"interrupted: {self._kept()} {_AGAIN}")
            else:
                self._console.show_cursor()
                self._say(f"ended at once; {self._remedy()}")
        self._last = time.monotonic()  # what came meanwhile, on a busy machine, is no second request
        self.answered.set()
        if first:
            # A signal that came right before the main thread began to wait has not woken it; this one does.
            self._own = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        else:
            # As after `kill -9`, which all that is stored withstands. Ray's and MLflow's processes end with this one.
            os._exit(INTERRUPTED)

    def _say(self, text: str) -> None:
        self._console.print(text, style="yellow", markup=False, soft_wrap=True)
        self._console.file.flush()


@contextlib.contextmanager
def interruptible(console: Terminal, kept: Callable[[], str], remedy: Callable[[], str]) -> Iterator[Interruption]:
    """Answer Ctrl-C and SIGTERM within the block, and until the program's end once one has come.

    The arguments are those of `Interruption`.

    Raises:
        SystemExit: with code 130, after the remedy was printed, if the block was interrupted.
    """
    interruption = Interruption(console, kept, remedy)
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    earlier = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    watcher = threading.Thread(
        target=_watch, args=(reading, earlier, interruption.notice), name="interruption", daemon=True
    )
    watcher.start()
    try:
        # The watcher deals with a second request, also while Ray shuts down after the block.
        with terminated_like_interrupted(once=True):
            yield interruption
    except KeyboardInterrupt:
        interruption.answered.wait(_ANSWERED_WITHIN)  # the answer comes first, also on a busy machine
        click.echo(remedy())
        sys.exit(INTERRUPTED)
    finally:
        if not interruption.asked:
            signal.set_wakeup_fd(earlier)
            os.close(writing)
            watcher.join()
            os.close(reading)


def _watch(reading: int, earlier: int, notice: Callable[[int], None]) -> None:
    """Pass on the numbers of signals, also to whoever noted them before, until the pipe is closed."""
    while numbers := os.read(reading, 64):
        if earlier != -1:
            with contextlib.suppress(OSError):
                os.write(earlier, numbers)
        for number in numbers:
            notice(number)
