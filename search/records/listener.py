"""The one interface through which a running search, confirmation or analysis reports its events."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.records.confirmation import ConfirmationRecord, SeedResult
    from search.records.search import SearchRecord, TrialRecord
    from search.settings import SearchConfig
    from trainables.records import ProbeRecord
    from trainables.teacher import TeacherProgress


class Listener:
    """Receives the events of a search, a confirmation or an analysis; each method does nothing unless overridden.

    All methods are called in the driver's process, and the work waits until they return.
    """

    def stage(self, text: str) -> None:
        """Called when something that takes a while begins, with its description."""

    def teacher(self, progress: TeacherProgress) -> None:
        """Called when the teacher has trained for another second or epoch, or was found in the cache."""

    def search_begins(self, search: SearchRecord, config: SearchConfig) -> None:
        """Called before a search's trials start; `search` holds those that an earlier run finished."""

    def trial(self, record: TrialRecord) -> None:
        """Called when a trial has started, progressed or ended."""

    def confirmation_begins(self, record: ConfirmationRecord) -> None:
        """Called before a confirmation's trainings start; `record` holds the results of earlier ones."""

    def result(self, result: SeedResult) -> None:
        """Called when a training of a confirmation has ended and is kept."""

    def probe(self, probe: ProbeRecord, done: int, total: int) -> None:
        """Called after each probe of an analysis: `done` of `total` are finished."""

    def tick(self) -> None:
        """Called a few times a second while trials or trainings run."""

    def end(self) -> None:
        """Called when no more trials or trainings run."""
