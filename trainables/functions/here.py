"""Calls a user's function in a thread of this process."""

from __future__ import annotations

from trainables.config import OwnFunction
from trainables.functions.call import call_function, new_notes
from trainables.functions.session import Session
from trainables.functions.thread import ThreadCall


class CallHere(ThreadCall):
    """A call in a thread of this process."""

    def __init__(self, own: OwnFunction, session: Session) -> None:
        self.notes = notes = new_notes(session)
        super().__init__(lambda pauses: call_function(own, session, notes, pauses))
