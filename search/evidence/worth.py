"""Judges whether distillation is worth it here: compares the best of everything with training on the labels alone."""

from __future__ import annotations

import math

from search.evidence.answers import Worth, WorthKind
from search.evidence.comparison import Comparison, FinalistRow
from search.evidence.scores import Scores
from search.evidence.settling import worth_settling
from search.evidence.statistics.paired import ROUNDING, PairedTest
from search.evidence.statistics.power import LEVEL
from search.evidence.wording.naming import scope_label, title
from search.records import ConfirmationRecord
from search.wording import Scale


def worth_of(scores: Scores, comparison: Comparison, winner: str) -> Worth | None:
    """Compare the verdict's choice with the labels alone.

    *Does not pay* means that every finalist's gain over the labels alone is below the smallest gain that counts. *Pays*
    means that the gain of `best` is above what better tuned labels alone may gain.

    The best constant was chosen before the confirmation, so it is tested at the full level. A rule was chosen among the
    rules, so these share the level. Looks share it too. If the choice is the labels alone themselves, the finalist with
    the highest validation score is tested, and all finalists share the level.

    Args:
        scores: those of a complete confirmation.
        comparison: the confirmation's.
        winner: key of the finalist to use.

    Returns:
        The comparison; None if no finalist was trained on the labels alone, or none other was trained.
    """
    record, alone = scores.record, comparison.labels_alone
    others = [row for row in comparison.rows if row.role != "labels_alone" and row.whole]
    if alone is None or not others:
        return None
    labels, role = alone.key, comparison.of(winner).role
    best = max(others, key=lambda row: row.validation or 0.0).key if role == "labels_alone" else winner
    chances = {"labels_alone": len(others), "rule": comparison.rules}.get(role, 1) * comparison.looks
    test = scores.difference(best, labels)
    noises = scores.noises(best, labels)
    if test is None:
        return None
    # Labels alone at another learning rate are expected to reach this much more; infinite if none were tried.
    loss = math.inf if scores.facts.labels_loss is None else scores.facts.labels_loss
    kind: WorthKind = "cannot_tell"
    bound = _largest(scores, others, labels, LEVEL / comparison.looks)
    if noises is not None and noises.error >= ROUNDING:
        half = noises.careful_half_width(LEVEL / chances) if chances > 1 else noises.half_width(LEVEL)
        test = test.model_copy(update={"low": noises.mean - half, "high": noises.mean + half})
        if record.margin is not None and bound < record.margin:
            kind = "does_not_pay"
        elif noises.mean - half > loss:
            kind = "pays"
    settles = None
    if kind == "cannot_tell":
        settles = worth_settling(scores, comparison, best, labels, loss)
    text = _text(record, kind, test, bound, loss, None if best == winner else title(record, best))
    return Worth(kind=kind, best=best, labels=labels, gain=test, text=text, settling=settles)


def _largest(scores: Scores, others: list[FinalistRow], labels: str, level: float) -> float:
    """Return an upper bound of the largest gain of any finalist over the labels alone; infinite if one is not known."""
    noises = [scores.noises(row.key, labels) for row in others]
    known = [one for one in noises if one is not None and one.error >= ROUNDING]
    return max(one.mean + one.half_width(level) for one in known) if len(known) == len(noises) else math.inf


def _text(
    record: ConfirmationRecord, kind: WorthKind, test: PairedTest, bound: float, loss: float, other: str | None
) -> str:
    scale = Scale(record.objective)
    gain = scale.margin(test.mean)
    if test.low is not None and test.high is not None:
        gain += f" ({scale.interval(test.low, test.high)}{scope_label(test)})"
    if other is not None:
        gain += f" for {other}"
    if kind == "pays":
        return f"Distillation pays here: {gain} over the labels alone."
    if kind == "does_not_pay":
        most, worth = scale.size(max(bound, 0.0)), scale.size(record.margin)
        real = " The gain is real, but too small." if test.low is not None and test.low > 0.0 else ""
        return (
            f"Distillation does not pay here: it gains {most} over the labels alone at most, less than the {worth} that"
            f" would be worth it.{real}"
        )
    untuned = ""
    if test.low is not None and 0.0 < test.low <= loss:
        more = f"by {scale.size(loss)}" if math.isfinite(loss) else "by an unknown amount"
        untuned = f" These may do better at a learning rate that was not tried, {more}."
    return f"Cannot tell whether distillation pays here: {gain} over the labels alone.{untuned}"
