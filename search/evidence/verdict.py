"""A confirmation's answer in plain words, no stronger than its evidence.

`search.report.verdict` answers for a search that was not confirmed.
"""

from __future__ import annotations

from search.confirmation import ConfirmationRecord
from search.evidence import sentences
from search.evidence.answers import ConfirmedVerdict
from search.evidence.choice import choose
from search.evidence.comparison import Comparison, compare
from search.wording import count

__all__ = ["ConfirmedVerdict", "judge_confirmation"]


def judge_confirmation(record: ConfirmationRecord) -> ConfirmedVerdict:
    """The verdict of a confirmation, finished or not.

    A winner is named when every finalist has every seed and not before: to look after each seed and stop at the first
    lead would find winners among equals far more often than the level says.
    """
    comparison = compare(record)
    if comparison.baseline is None or len(record.seeds) < 2 or any(row.absent for row in comparison.rows):
        headline, evidence = _incomplete(record, comparison)
        return ConfirmedVerdict(
            kind="incomplete",
            headline=headline,
            evidence=evidence,
            caveat="",
            winner=None,
            baseline=comparison.baseline,
        )
    choice = choose(record, comparison)
    winner = comparison.baseline if choice is None else choice.winner
    if choice is None:
        headline, grounds = sentences.no_rule(record, comparison, comparison.baseline)
    else:
        headline, grounds = sentences.a_rule(record, comparison, comparison.baseline, choice)
    caveats = (
        sentences.lost(record, comparison),
        sentences.looks(comparison),
        sentences.optimism(record, comparison),
        sentences.scope(record),
    )
    return ConfirmedVerdict(
        kind="constant" if choice is None else "rule",
        headline=headline,
        evidence=" ".join(part for part in (grounds, sentences.teaching(record, comparison, winner)) if part),
        caveat=" ".join(part for part in caveats if part),
        winner=winner,
        baseline=comparison.baseline,
    )


def _incomplete(record: ConfirmationRecord, comparison: Comparison) -> tuple[str, str]:
    absent = sum(len(row.absent) for row in comparison.rows)
    if absent:
        return (
            f"The confirmation is not finished: {absent:,} of"
            f" {count(len(record.finalists) * len(record.seeds), 'training')} are still to come.",
            "A look before the last seed finds winners among equals too often, so no winner is named yet.",
        )
    if len(record.seeds) < 2:
        return "One seed cannot tell a lead from noise.", "Confirm again with more seeds: ten are a good number."
    return (
        "Nothing is confirmed: no constant λ has a finite score under every seed.",
        "Whether a rule beats a constant is not known; confirm again with constants of a smaller learning rate.",
    )
