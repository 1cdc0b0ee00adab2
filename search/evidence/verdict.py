"""Gives a confirmation's answer in plain words, no stronger than its evidence.

`search.evidence.searched` answers for a search that was not confirmed.
"""

from __future__ import annotations

from search.evidence.answers import AnswerKind, ConfirmedVerdict
from search.evidence.choice import Choice, choose
from search.evidence.comparison import Comparison, compare
from search.evidence.gating.gates import gating
from search.evidence.scores import Scores
from search.evidence.settling import settling
from search.evidence.wording.gating import changed_sentence, headline_of, sentence_of
from search.evidence.wording.sentences import Sentences, join
from search.evidence.worth import worth_of
from search.records import ConfirmationRecord
from search.wording import count


def judge_confirmation(record: ConfirmationRecord, unit: str = "samples") -> ConfirmedVerdict:
    """Judge a confirmation, finished or not.

    A winner is named only when every finalist has every seed. A look after each seed, with a stop at the first lead,
    would find winners among equals far more often than the level says.

    The first answer that holds is given. *Constant*: no rule gains enough to be worth it. *Rule*: one is better than
    the best constant and its rivals, and that constant was bracketed. Otherwise: *cannot tell*.

    Args:
        record: the confirmation.
        unit: the plural of what one test sample is.
    """
    scores = Scores(record, unit)
    comparison = compare(record, scores)
    baseline = comparison.baseline
    if baseline is None or len(record.seeds) < 2 or any(row.absent for row in comparison.rows):
        headline, evidence = _incomplete(record, comparison)
        return ConfirmedVerdict(
            kind="incomplete", headline=headline, evidence=evidence, caveat="", winner=None, baseline=baseline
        )
    choice = choose(record, comparison)
    kind = verdict_kind(record, comparison, choice)
    winner = choice.winner if choice is not None and kind == "rule" else baseline
    words, rules = Sentences(scores, comparison, baseline), [row.key for row in comparison.rows if row.role == "rule"]
    if kind == "rule" and choice is not None:
        headline, grounds = words.a_rule(choice)
    else:
        headline, grounds = words.a_constant(choice) if kind == "constant" else words.no_answer(choice)
    gated = gating(record, comparison, winner, choice)
    turned_down = "" if gated is None else headline_of(record, gated)
    ungated = f"Without the gates: {headline}" if turned_down else ""
    kept = "" if gated is None else sentence_of(record, comparison, gated)
    settles = settling(scores, comparison) if kind == "cannot_tell" and choice is None else None
    caveats = (
        words.range_ends((baseline, winner) if kind == "rule" else (baseline, *rules)),
        words.not_bracketed() if kind == "constant" or settles is not None else "",
        words.lost(),
        words.looks(),
        words.test_uses(),
        words.optimism(),
        words.scope(),
        changed_sentence(record),
    )
    return ConfirmedVerdict(
        kind=kind,
        headline=turned_down or headline,
        evidence=join([ungated, kept, grounds, settles.text if settles else "", words.levels()]),
        caveat=join(caveats),
        winner=winner,
        baseline=baseline,
        smallest_gain=record.margin,
        largest_gain=comparison.largest_gain,
        settling=settles,
        worth=worth_of(scores, comparison, winner),
        gating=gated,
    )


def verdict_kind(record: ConfirmationRecord, comparison: Comparison, choice: Choice | None) -> AnswerKind:
    """Return the answer of a complete confirmation, without its words."""
    margin, largest = record.margin, comparison.largest_gain
    if not comparison.rules or (margin is not None and largest is not None and largest < margin):
        return "constant"
    is_bracketed = record.constant is not None and record.constant.bracketed
    return "rule" if choice is not None and is_bracketed else "cannot_tell"


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
