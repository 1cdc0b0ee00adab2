"""Decides how a program that ran a search should end."""

from __future__ import annotations

import signal

from search.records import SearchRecord


def all_failed(search: SearchRecord) -> bool:
    """Return True if trials have ended and every one of them failed, so that there is nothing to report."""
    return bool(search.trials) and all(trial.status == "failed" for trial in search.trials)


def exit_code(search: SearchRecord) -> int:
    """Return the exit code of a program that ran a search: 0, 1 if all trials failed, or 130 if it was stopped."""
    if all_failed(search):
        return 1
    return 0 if search.status == "finished" else 128 + signal.SIGINT
