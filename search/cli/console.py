"""What the command line prints to, and what becomes of it when nobody reads on."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from typing import NoReturn

from rich.console import Console

_ENDED_BY_SIGPIPE = 128 + 13
"""What a shell says of a program that the signal ended."""


class Terminal(Console):
    """Rich's console, without colours for numbers; it leaves it to `main` what a closed pipe means."""

    def __init__(self) -> None:
        super().__init__(highlight=False)

    def on_broken_pipe(self) -> NoReturn:
        """Hand on the error that rich has caught, where it would exit as if something had failed.

        Raises:
            BrokenPipeError: always.
        """
        raise BrokenPipeError


def is_read() -> bool:
    """Whether what is written to stdout can still reach somebody: False once `| head` has had enough."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # a stdout that is no file, as in a notebook
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)  # errors are told in any case
        return not any(event & select.POLLERR for _, event in poll.poll(0))
    return True


def end_unread() -> NoReturn:
    """End quietly, as any program does whose reader has gone.

    Raises:
        SystemExit: always.
    """
    # Python writes what is left when it ends, and would complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(_ENDED_BY_SIGPIPE)
