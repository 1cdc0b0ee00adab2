"""Runs a function in a thread that its caller lets go on from one pause to the next.

One thread of a process carries all functions, one after another. Memory stays flat that way; a thread for each training
would not return what PyTorch and the allocator keep for it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

_SECONDS_TO_STOP = 10.0


class Stopped(BaseException):
    """Ends a function at a pause or at a step. User code that catches `Exception` lets it through."""


class Pauses:
    """The places at which a function waits, seen from inside of it. This base never waits."""

    stopping = False
    """True if the function must end at the next step or pause."""

    def pause(self) -> None:
        """Wait until the caller lets the function go on.

        Raises:
            Stopped: the function must end.
        """

    def check(self) -> None:
        """Raise Stopped if the function must end."""
        if self.stopping:
            raise Stopped

    def clock(self) -> float:
        """Return a time in seconds that stands still while the function waits."""
        return time.perf_counter()


class Carrier:
    """A thread that carries one function after another."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="training function", daemon=True).start()

    def carry(self, job: Callable[[], None]) -> None:
        """Run a job after those before it. It must raise nothing."""
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get()()


_carriers: list[Carrier] = []


class ThreadCall(Pauses):
    """One call of a function in the carrier's thread.

    Args:
        function: called with this object, whose `pause` it calls.
    """

    def __init__(self, function: Callable[[Pauses], None]) -> None:
        self._function = function
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self._error: BaseException | None = None
        self._waited = 0.0
        self.ended = False
        """True if the function has returned, failed or been stopped."""
        if not _carriers:
            _carriers.append(Carrier())
        _carriers[0].carry(self._run)

    def advance(self) -> bool:
        """Let the function go on to its next pause or its end; return True if it has ended.

        Raises:
            BaseException: what the function raised.
        """
        self._go.release()
        self._back.acquire()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self.ended

    def stop(self) -> None:
        """End the function at its pause. One that does not end within seconds is left behind with its thread."""
        if self.ended:
            return
        self.stopping = True
        self._go.release()
        if not self._back.acquire(timeout=_SECONDS_TO_STOP):
            _carriers.clear()
        self._error = None

    def pause(self) -> None:
        """Hand over to the caller, and wait until it calls `advance` again."""
        began = time.perf_counter()
        self._back.release()
        self._go.acquire()
        self._waited += time.perf_counter() - began
        self.check()

    def clock(self) -> float:
        """Return a time in seconds that stands still while the function waits."""
        return time.perf_counter() - self._waited

    def _run(self) -> None:
        self._go.acquire()
        try:
            if not self.stopping:
                self._function(self)
        except Stopped:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self.ended = True
            self._back.release()
