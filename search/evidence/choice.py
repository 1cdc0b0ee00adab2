"""Chooses the rule to use: the simplest of those that beat the best constant and that no other such rule outdoes.

A rule is outdone if another is ahead of it by more than the noise. Holm's correction allows for the comparison with
several rules. The rule with the highest mean is never outdone, so there is a choice whenever a rule beats the constant.

The choice cannot lose much. A rule that beats the constant is ahead of it by at least as many standard errors as it may
trail another rule by. So with differences of like noise it keeps about half of the largest gain.
"""

from __future__ import annotations

from search.evidence.comparison import Comparison, ahead
from search.evidence.scores import Scores
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
    keys, scores, outdone = [row.key for row in rows], Scores(record), dict[str, str]()
    for key in keys:
        better = ahead({other: scores.difference(other, key) for other in keys if other != key})
        if not better:
            return Choice(winner=key, standing=tuple(keys), outdone=outdone)
        outdone[key] = min(better, key=better.__getitem__)  # the one that is most clearly ahead
    return None
