"""The console of the command line, and its end when the reader closes it."""

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


_PLAIN = {"λ": "lambda", "×": "x", "…": "...", "→": "->", "≤": "<=", "≥": ">=", "±": "+-", "·": "-", "−": "-"}
"""Plain words for characters that a terminal's encoding may lack."""
_HANDLER = "search.plain"


def print_anything() -> None:
    """Let stdout and stderr take any text, whatever their encoding: what it lacks is written in plain letters."""
    codecs.register_error(_HANDLER, _in_plain_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # ASCII is what a missing locale gives, not what a terminal shows; click writes UTF-8 there, too.
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if ascii_only else None, errors=_HANDLER)


def _in_plain_letters(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(character: str) -> str:
    if character in _PLAIN:
        return _PLAIN[character]
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        return "|" if "VERTICAL" in name and "HORIZONTAL" not in name else "-"
    if name.startswith("GREEK"):
        return name.split()[3].lower()
    if "DASH" in name or "BULLET" in name:
        return "-"
    bare = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return bare or character.encode("ascii", "backslashreplace").decode()


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
