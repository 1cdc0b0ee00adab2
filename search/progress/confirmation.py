"""Shows a running confirmation: a live table in a terminal, plain lines elsewhere.

It shows how far each finalist is, but no scores: a reader who saw them would be tempted to stop at the first lead.
"""

from __future__ import annotations

import math
import time
from collections import Counter

from search.progress.search import TerminalListener
from search.records import TITLE, ConfirmationRecord, SeedResult
from search.report import Column, FittedTable
from search.wording import time_left


class ConfirmationBoard:
    """The state of a running confirmation: trainings done by finalist, and the time left."""

    def __init__(self, record: ConfirmationRecord) -> None:
        self.record = record
        self.done = Counter(result.finalist for result in record.results)
        self.earlier = self.done.total()
        self._began, self._ended = math.inf, -math.inf
        """The start of this run's first training and the end of its last one, in the results' own clock."""
        self._counted = time.monotonic()

    def count(self, result: SeedResult) -> None:
        """Count a training of this run that has ended."""
        self.done[result.finalist] += 1
        self._counted = time.monotonic()
        if result.began is not None:
            self._began = min(self._began, result.began)
            self._ended = max(self._ended, result.began + result.seconds)

    @property
    def total(self) -> int:
        """Trainings of the whole confirmation."""
        return len(self.record.finalists) * len(self.record.seeds)

    def seconds_left(self) -> float | None:
        """Estimate the seconds left from the pace of this run's trainings; None before one has ended.

        The estimate is too long until as many have ended as run side by side.
        """
        done = self.done.total()
        if self._ended < self._began:
            return None
        left = (self._ended - self._began) / (done - self.earlier) * (self.total - done)
        return max(0.0, left - (time.monotonic() - self._counted))

    def ended_in_words(self) -> str:
        """Return how many of the trainings have ended."""
        return f"{self.done.total()} of {self.total} trainings"

    def unfinished_in_words(self) -> str:
        """Say what becomes of running trainings."""
        return "what runs begins again"

    def table(self) -> FittedTable:
        """One row a finalist."""
        finalists, seeds = self.record.finalists, len(self.record.seeds)
        return FittedTable(
            (
                Column("finalist", [finalist.key for finalist in finalists], right=False, wraps=True),
                Column("seeds", [f"{self.done[finalist.key]}/{seeds}" for finalist in finalists]),
                Column("rule", [finalist.rule for finalist in finalists], right=False, wraps=True),
            ),
            [""] * len(finalists),
            title=str(self.record.settings.get(TITLE, f"Confirmation of {self.record.search}")),
        )

    def line(self) -> str:
        """The state in one line."""
        parts = f"{self.done.total()}/{self.total} trainings done", time_left(self.seconds_left())
        return ", ".join(part for part in parts if part)


class ConfirmationProgress(TerminalListener):
    """Follows a confirmation on a console; live where it is a terminal, a line now and then where it is not."""

    def confirmation_begins(self, record: ConfirmationRecord) -> None:
        """Show the table."""
        board = ConfirmationBoard(record)
        self.stage(
            f"{board.total} trainings: {len(record.finalists)} finalists on {len(record.seeds)} fresh seeds"
            f" ({record.seeds[0]} to {record.seeds[-1]}), {board.earlier} already done"
        )
        self._follow(board)

    def result(self, result: SeedResult) -> None:
        """Count a training."""
        if isinstance(self.board, ConfirmationBoard):
            self.board.count(result)

    def end(self) -> None:
        """Take the live table away, and tell how many trainings are done; the answer follows."""
        was_live = self.live is not None
        super().end()
        if was_live and self.board is not None:
            self._line(self.board.line())
