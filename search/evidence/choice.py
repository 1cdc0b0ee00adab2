"""Chooses the rule to use: the simplest of those that beat the best constant and that no other such rule outdoes.

A rule is outdone if another is ahead of it by more than the noise. Holm's correction allows for the comparison with
several rules. The rule with the highest mean is never outdone, so there is a choice whenever a rule beats the constant.

The choice cannot lose much. A rule that beats the constant is ahead of it by at least as many standard errors as it may
trail another rule by. So with differences of like noise it keeps about half of the largest gain.
"""

from __future__ import annotations

from search.evidence.comparison import Comparison, FinalistRow, difference
from search.evidence.statistics.paired import holm
from search.evidence.statistics.power import LEVEL
from search.records import ConfirmationRecord
from trainables.settings import Settings


class Choice(Settings):
    """The rule to use, and what it was chosen from."""

    winner: str
    standing: tuple[str, ...]
    """Keys of all rules that beat the best constant, the simplest first."""
    outdone: dict[str, str]
    """The simpler rules that were not chosen, each with a rule that outdoes it."""


def choose(record: ConfirmationRecord, comparison: Comparison) -> Choice | None:
    """Choose the simplest rule that no other outdoes; None if no rule beats the best constant.

    Among rules of equal complexity, the one with the higher validation score comes first, so that the test pictures do
    not decide between them.
    """
    rows = [row for row in comparison.rows if row.claim is not None and row.claim.stands]
    rows.sort(key=lambda row: (row.complexity, -(row.validation or 0.0), row.key))
    outdone: dict[str, str] = {}
    for row in rows:
        better = _outdoes(record, row, rows)
        if better is None:
            return Choice(winner=row.key, standing=tuple(r.key for r in rows), outdone=outdone)
        outdone[row.key] = better
    return None


def _outdoes(record: ConfirmationRecord, row: FinalistRow, rows: list[FinalistRow]) -> str | None:
    """Return the rule that is most clearly ahead of `row`; None if none is."""
    p_ahead = {}
    for other in rows:
        test = difference(record, other.key, row.key) if other.key != row.key else None
        if test is not None and test.p_ahead is not None:
            p_ahead[other.key] = test.p_ahead
    corrected = dict(zip(p_ahead, holm(p_ahead.values()), strict=True))
    first = min(corrected, key=corrected.__getitem__, default=None)
    return first if first is not None and corrected[first] <= LEVEL else None
