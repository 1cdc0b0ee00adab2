"""Says in words that a budget ended a search, or that a search has grown since it was confirmed."""

from __future__ import annotations

from search.records import ConfirmationRecord, SearchRecord
from search.settings import budget_text
from search.wording import count, duration

_MARGIN = 1.1
"""The factor by which a suggested budget exceeds the estimated time of the remaining rounds."""


def budget_sentence(search: SearchRecord) -> str:
    """Say that the budget ended the search, and what a larger one would add; empty if it did not."""
    end = search.budget_end
    if end is None:
        return ""
    left = end.planned - end.rounds
    larger = budget_text(end.seconds + _MARGIN * end.more_seconds)
    return (
        f"The budget of {end.budget} ended the search after {end.rounds:,} of {count(end.planned, 'round')}, so each"
        f" family has {count(end.rounds, 'rule')}. A larger budget would add {count(left * _rules(search), 'rule')} in"
        f" about {duration(end.more_seconds)}: resume the search with `--set budget={larger}`, which counts the time so"
        " far too."
    )


def smaller_search_sentence(search: SearchRecord, confirmation: ConfirmationRecord) -> str:
    """Say that the search has grown since its confirmation began; empty if it has not."""
    before, now = confirmation.size_of(search.config), search.config.size
    if before == now:
        return ""
    return (
        f"This confirmation is of the smaller search: {before.in_words()}. The search has grown since, to"
        f" {now.in_words()}; what it added is not confirmed."
    )


def _rules(search: SearchRecord) -> int:
    """Return the number of rules in a round of all students."""
    return len(search.config.rule_families) * len(search.config.students)
