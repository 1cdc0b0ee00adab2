"""Begins a call of a user's function: in this process's thread, or in processes of its own."""

from __future__ import annotations

from typing import Protocol

from trainables.config import OwnFunction
from trainables.functions.call import call_function, new_notes
from trainables.functions.notes import Notes
from trainables.functions.session import Session
from trainables.functions.thread import ThreadCall


class Call(Protocol):
    """One call of a function."""

    @property
    def notes(self) -> Notes:
        """The notes so far; read them between two calls of `advance`."""
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


class CallHere(ThreadCall):
    """A call in a thread of this process."""

    def __init__(self, own: OwnFunction, session: Session) -> None:
        self.notes = notes = new_notes(session)
        super().__init__(lambda pauses: call_function(own, session, notes, pauses))


def begin_call(own: OwnFunction, session: Session) -> Call:
    """Begin a call, which waits until its `advance` is called."""
    if own.processes == 0:
        return CallHere(own, session)
    from trainables.functions.processes import ProcessCall

    return ProcessCall(own, session)
