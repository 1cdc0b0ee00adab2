"""All that a report is made from, and what each of its parts asks of it."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from search.confirmation import ConfirmationRecord
from search.evidence import Comparison, ConfirmedVerdict, compare, judge_confirmation
from search.launch import Launch
from search.records import SearchRecord, TrialRecord
from search.scale import Scale
from trainables.decision_log import StoredLog

if TYPE_CHECKING:
    from search.analysis.record import AnalysisRecord


def _no_log(_: TrialRecord) -> StoredLog | None:
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportSource:
    """A search and what came after it.

    Args:
        search: finished or not, with the trials of all students.
        confirmation: finished or not; None if none has begun.
        decisions: gives a trial's decision log; None where it has none.
        analysis: what `kd-search analyze` left; None where there is nothing.
        launch: the search's places, for the commands that the report tells to type.
    """

    search: SearchRecord
    confirmation: ConfirmationRecord | None = None
    decisions: Callable[[TrialRecord], StoredLog | None] = _no_log
    analysis: AnalysisRecord | None = None
    launch: Launch | None = None

    @functools.cached_property
    def judged(self) -> SearchRecord:
        """The trials of the student that is confirmed, or of the best trial's: rules are compared under one student."""
        finalists = self.confirmation.finalists if self.confirmation else ()
        return self.search.of_student(finalists[0].student if finalists else None)

    @functools.cached_property
    def scale(self) -> Scale:
        """How scores are written."""
        return Scale(self.search.objective)

    @functools.cached_property
    def verdict(self) -> ConfirmedVerdict | None:
        """Of the confirmation, finished or not."""
        return None if self.confirmation is None else judge_confirmation(self.confirmation)

    @functools.cached_property
    def comparison(self) -> Comparison | None:
        """Every finalist against the best constant."""
        return None if self.confirmation is None else compare(self.confirmation)

    @property
    def confirmed(self) -> Confirmed | None:
        """The confirmation with its answer; None while it has none."""
        record, verdict, comparison = self.confirmation, self.verdict, self.comparison
        if record is None or verdict is None or comparison is None or verdict.winner is None:
            return None
        assert verdict.baseline is not None  # a winner is named against one
        return Confirmed(record, comparison, verdict, verdict.winner, verdict.baseline)


@dataclasses.dataclass(frozen=True)
class Confirmed:
    """A finished confirmation: its winner is a rule or the best constant, which is the baseline."""

    record: ConfirmationRecord
    comparison: Comparison
    verdict: ConfirmedVerdict
    winner: str
    baseline: str

    @property
    def rival(self) -> str | None:
        """Who is shown beside the best constant: the winner, or else the rule that came nearest; None without one."""
        if self.winner != self.baseline:
            return self.winner
        rules = [row for row in self.comparison.rows if row.role == "rule" and row.difference and not row.lost]
        return max(rules, key=lambda row: row.test or 0.0).key if rules else None

    @property
    def labels_alone(self) -> str | None:
        """The finalist that was trained without a teacher; the better one on validation pictures if there are two."""
        rows = [row for row in self.comparison.rows if row.role == "labels_alone" and row.seeds and not row.lost]
        return max(rows, key=lambda row: row.validation or 0.0).key if rows else None
