"""Which training of a search is meant where only the search is named: the one that its report recommends."""

from __future__ import annotations

import dataclasses

from search.confirm.store import read_confirmation
from search.evidence import Recommended, judge
from search.records import SearchRecord, TrialRecord
from search.store import SearchStore


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecommendedTraining:
    """What a search recommends, and its trial with the best score of its own."""

    recommended: Recommended
    first: TrialRecord

    @property
    def words(self) -> str:
        """How it stands: `the best`, or `confirmed` with what the search alone had first."""
        if not self.recommended.confirmed:
            return "the best"
        if self.recommended.trial == self.first.number:
            return "confirmed"
        return f"confirmed; the search alone had trial {self.first.number} first"


def recommended_training(store: SearchStore, search: SearchRecord) -> RecommendedTraining | None:
    """What the confirmation recommends if it has an answer, else the best trial; None while no trial has finished.

    Raises:
        SearchError: the confirmation is damaged.
    """
    if not search.finished:
        return None
    recommended = judge(search, read_confirmation(store)).recommended
    assert recommended is not None  # a trial has finished
    return RecommendedTraining(recommended=recommended, first=search.finished[0])
