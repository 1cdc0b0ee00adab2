"""The console of the command line: its letters, and its end when the reader closes it."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import select
import sys
import unicodedata
from typing import NoReturn

from rich.console import Console

_ENDED_BY_SIGPIPE = 128 + 13
"""A shell's exit code for a program that SIGPIPE ended."""


_READABLE = "readable"
_IN_ASCII = {
    **dict.fromkeys("·•–—−─━", "-"),
    **{"λ": "lambda", "≤": "<=", "≥": ">=", "×": "x", "±": "+/-", "…": "...", "²": "^2", "‖": "|", "→": "->"},
    **{"≈": "~", "√": "sqrt", "∇": "grad ", "‘": "'", "’": "'", "“": '"', "”": '"', "\N{NO-BREAK SPACE}": " "},
}


def write_readably() -> None:
    """Let stdout and stderr write what their encoding lacks in ASCII: `lambda <= 0.9`, rather than fail."""
    codecs.register_error(_READABLE, _readable)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors != "surrogateescape":
            stream.reconfigure(errors=_READABLE)


def _readable(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_in_ascii, error.object[error.start : error.end])), error.end


def _in_ascii(letter: str) -> str:
    if letter in _IN_ASCII:
        return _IN_ASCII[letter]
    name = unicodedata.name(letter, "")
    if name.startswith("GREEK"):
        return name.rpartition(" ")[2].lower()
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or "?"


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
