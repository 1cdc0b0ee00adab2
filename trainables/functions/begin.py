"""Begins a call of a user's function: in this process's thread, or in processes of its own."""

from __future__ import annotations

from typing import Protocol

from trainables.config import OwnFunction
from trainables.functions.here import CallHere
from trainables.functions.notes import Notes
from trainables.functions.processes import ProcessCall
from trainables.functions.session import Session


class Call(Protocol):
    """One call of a function."""

    @property
    def notes(self) -> Notes:
        """The notes so far; read them between two calls of `advance`."""
        ...

    @property
    def ended(self) -> bool:
        """True if the function has returned, failed or been stopped."""
        ...

    def advance(self) -> bool:
        """Let the function go on to its next report or its end; return True if it has ended.

        Raises:
            KDPolicySearchError: the function failed.
        """
        ...

    def stop(self) -> None:
        """End the function, if it is running."""
        ...


def begin_call(own: OwnFunction, session: Session) -> Call:
    """Begin a call, which waits until its `advance` is called."""
    return ProcessCall(own, session) if own.processes else CallHere(own, session)
