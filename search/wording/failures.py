"""Turns the text of an error, as Ray gives it, into one line for people."""

from __future__ import annotations

import re

_MOST_LETTERS = 400
_ONE_OF_SEVERAL = re.compile(r"^Failure # \d+ \(occurred at .*\)$", re.MULTILINE)
"""The line that Tune writes before each failure of a trial that is retried."""
_OWN_ERROR = re.compile(r"^(?:policies|trainables|search)\.[\w.]*Error: ")
_EXIT_CODE = re.compile(r"Worker exits with an exit code (\d+)")
_KILLED = "its process was killed; the usual cause is that memory ran out (see `resources.max_concurrent`)"
_LOST_PROCESS = {
    "the node running low on memory": "Ray ended its process, since the machine ran low on memory; lower"
    " `resources.max_concurrent`",
    "its worker process has died": _KILLED,
    "The worker died unexpectedly": _KILLED,
    "its node has died": "the machine that ran it was lost",
    "The actor died unexpectedly": "its process was lost",
}
"""Ray's words for a lost process -> what they mean. The first that a text has decides, since texts go on guessing."""


def failure_reason(text: str) -> str:
    """Return why a training failed, in one line of at most 400 letters.

    Args:
        text: an error as Ray or Tune writes it: a traceback, or the story of a lost process. Several failures of one
            trial may follow each other; the last one counts.
    """
    last = _ONE_OF_SEVERAL.split(text)[-1]
    lines = [line for line in last.splitlines() if line.strip()]
    frames = [place for place, line in enumerate(lines) if line.startswith("  File ")]
    if frames:
        # A message may have several lines, and the first one says most: CUDA's others tell how to debug it.
        reason = next((line for line in lines[frames[-1] :] if not line.startswith(" ")), lines[-1])
    elif code := _EXIT_CODE.search(last):
        reason = f"its process ended by itself, with exit code {code[1]}"
    else:
        first = lines[0] if lines else "no message"
        reason = next((meaning for words, meaning in _LOST_PROCESS.items() if words in last), first)
    reason = " ".join(_OWN_ERROR.sub("", reason).split())
    return reason if len(reason) <= _MOST_LETTERS else f"{reason[: _MOST_LETTERS - 1].rstrip()}…"
