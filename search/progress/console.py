"""The console of the command line, and its end when the reader closes it."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import NoReturn

from rich.console import Console

_ENDED_BY_SIGPIPE = 128 + 13
"""A shell's exit code for a program that SIGPIPE ended."""


class Terminal(Console):
    """Rich's console, without colours for numbers; `main` decides what a closed pipe means."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> NoReturn:
        """Raise the error that rich has caught; rich itself would exit as if something had failed.

        Raises:
            BrokenPipeError: always.
        """
        raise BrokenPipeError


def is_read() -> bool:
    """Return True if stdout still has a reader; False once `| head` has closed it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # stdout is no file, as in a notebook
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors are reported in any case
        return not any(event & select.POLLERR for _, event in poll.poll(0))
    return True


def end_unread() -> NoReturn:
    """End quietly, like any program whose reader has closed stdout.

    Raises:
        SystemExit: always.
    """
    # Python flushes stdout at its end, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(_ENDED_BY_SIGPIPE)
