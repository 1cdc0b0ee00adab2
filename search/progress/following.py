"""Chooses how a search that Python code runs is shown."""

from __future__ import annotations

from search.progress.confirmation import ConfirmationProgress
from search.progress.console import Terminal
from search.progress.notebook import NotebookProgress
from search.records import Listener


def listener_for(progress: bool | Listener) -> Listener:
    """Return what follows a search or a confirmation.

    Args:
        progress: True for an output that suits a notebook, a terminal or a file; False for none; or a listener.
    """
    if isinstance(progress, Listener):
        return progress
    if not progress:
        return Listener()
    console = Terminal()
    return NotebookProgress() if console.is_jupyter else ConfirmationProgress(console)
