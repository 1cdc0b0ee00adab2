"""Finds the training that is meant where only a search is named: the one that its report recommends."""

from __future__ import annotations

import dataclasses

from search.confirm.store import read_confirmation
from search.evidence import Recommended, judge
from search.records import SearchRecord, TrialRecord
from search.store import SearchStore


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecommendedTraining:
    """The training that a search recommends, and the trial with the best score in the search alone."""

    recommended: Recommended
    first: TrialRecord

    @property
    def words(self) -> str:
        """The standing in words: `the best`, or `confirmed`, with the search's own first trial if that is another."""
        if not self.recommended.confirmed:
            return "the best"
        if self.recommended.trial == self.first.number:
            return "confirmed"
        return f"confirmed; the search alone had trial {self.first.number} first"


def recommended_training(store: SearchStore, search: SearchRecord) -> RecommendedTraining | None:
    """Return what the confirmation recommends, or else the best trial; None while no trial has finished.

    Raises:
        SearchError: the confirmation is damaged.
    """
    if not search.finished:
        return None
    # If no finalist keeps the gates, the search's own best trial is still the one to look at.
    recommended = judge(search, read_confirmation(store)).recommended or judge(search).recommended
    assert recommended is not None  # a trial has finished
    return RecommendedTraining(recommended=recommended, first=search.finished[0])
