"""Holds all that a report is made from, and derives the values that its parts ask for."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from search.evidence.confirmed import Confirmed, confirmed_of
from search.evidence.judgement import Judgement, judge, judged_search
from search.evidence.ranking import best_trials
from search.evidence.transfer.findings import TransferFindings, transfer_findings
from search.records import ConfirmationRecord, SearchRecord, TransferRecord, TrialRecord
from search.settings import Launch, next_command
from search.wording import Scale
from trainables.training import StoredLog

if TYPE_CHECKING:
    from search.records import AnalysisRecord


def _no_log(_: TrialRecord) -> StoredLog | None:
    return None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReportSource:
    """A search and what came after it.

    Args:
        search: the search, finished or not, with the trials of all students.
        confirmation: its confirmation, finished or not; None if none has begun.
        transfers: its transfers to scaled search files.
        decisions: returns a trial's decision log; None if it has none.
        analysis: the result of `kd-search analyze`; None if there is none.
        launch: the search's places, for the commands that the report suggests.
    """

    search: SearchRecord
    confirmation: ConfirmationRecord | None = None
    transfers: tuple[TransferRecord, ...] = ()
    decisions: Callable[[TrialRecord], StoredLog | None] = _no_log
    analysis: AnalysisRecord | None = None
    launch: Launch | None = None

    @functools.cached_property
    def judgement(self) -> Judgement:
        """All conclusions; the report only renders them."""
        return judge(self.search, self.confirmation)

    @functools.cached_property
    def judged(self) -> SearchRecord:
        """The trials of the student that the judgement is about."""
        return judged_search(self.search, self.confirmation)

    @functools.cached_property
    def scale(self) -> Scale:
        """The scale in which scores are written."""
        return Scale(self.search.objective)

    @functools.cached_property
    def best_trials(self) -> dict[str, TrialRecord]:
        """Each ranked family's best trial, best family first."""
        return best_trials(self.judged)

    @functools.cached_property
    def transferred(self) -> tuple[TransferFindings, ...]:
        """The conclusions from its transfers, of those whose finalists are known."""
        found = (transfer_findings(record, self.search.unit) for record in self.transfers)
        return tuple(one for one in found if one is not None)

    @property
    def confirmed(self) -> Confirmed | None:
        """The confirmation with its answer; None while it has none."""
        return confirmed_of(self.confirmation, self.judgement.finalists, self.judgement.verdict)

    @property
    def command(self) -> str:
        """The command to type next; empty where there is none."""
        answer = self.judgement.answer
        command = next_command(answer.next_verb, self.search.name, self.launch) if answer.next_verb else ""
        return " ".join([command, *answer.next_options]) if command else ""
