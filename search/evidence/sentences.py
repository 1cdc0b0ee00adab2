"""What a verdict says, sentence by sentence."""

from __future__ import annotations

from search.confirmation import ConfirmationRecord
from search.evidence.choice import Choice
from search.evidence.comparison import Claim, Comparison, FinalistRow, difference
from search.evidence.naming import p_text, title, with_interval
from search.evidence.paired import PairedTest
from search.scale import Scale
from search.wording import count, sentence_case
from trainables.objective import ACCURACY


def a_rule(record: ConfirmationRecord, comparison: Comparison, baseline: str, choice: Choice) -> tuple[str, str]:
    """Headline and grounds where a rule beats the best constant."""
    scale = Scale(record.objective)
    row = comparison.of(choice.winner)
    constant = title(record, baseline)
    gain, claim = row.difference, row.claim
    assert gain is not None  # a rule that stands has been tested
    assert claim is not None
    headline = (
        f"{sentence_case(title(record, row.key))} beats the best constant {constant} by"
        f" {scale.size(gain.mean)} of test {record.objective.name}."
    )
    reached = f"It reaches {scale.value(row.test)}, the constant {scale.value(comparison.of(baseline).test)}"
    parts = [
        f"{reached}: {with_interval(record, gain)}, paired over {count(len(gain.seeds), 'seed')};"
        f" {p_text(claim.p_corrected)} after Holm's correction for {count(comparison.rules, 'rule')}.",
        _other_constant(record, claim, row, baseline),
        _other_rules(record, comparison, choice),
    ]
    return headline, _join(parts)


def no_rule(record: ConfirmationRecord, comparison: Comparison, baseline: str) -> tuple[str, str]:
    """Headline and grounds where none does."""
    scale = Scale(record.objective)
    constant = title(record, baseline)
    reached = f"The constant reaches {scale.value(comparison.of(baseline).test)} on the test pictures."
    if not comparison.rules:
        return f"The best constant is {constant}; no rule was confirmed.", reached
    parts = [_would_have_been_seen(record, comparison), reached, _nearest(record, comparison, baseline)]
    return f"No rule beats the best constant {constant} here.", _join(parts)


def teaching(record: ConfirmationRecord, comparison: Comparison, winner: str) -> str:
    """How much the teacher helped at all, by what labels alone reach."""
    scale = Scale(record.objective)
    alone = [row for row in comparison.rows if row.role == "labels_alone" and row.seeds and not row.lost]
    if not alone:
        return ""
    labels = max(alone, key=lambda row: row.validation or 0.0)
    if comparison.of(winner).role == "labels_alone":
        return "That is training on the labels alone: nothing here shows that the teacher helps."
    gain = difference(record, winner, labels.key)
    if gain is None:
        return ""
    told = f"Labels alone reach {scale.value(labels.test)}"
    itself = _teacher(record)
    if itself is not None:
        told += f" and the teacher itself {scale.value(itself)}"
    worth = f"what the teacher adds is {with_interval(record, gain)}"
    return f"{told}; {worth}." if _clear(gain) else f"{told}; {worth}, which cannot be told from noise."


def lost(record: ConfirmationRecord, comparison: Comparison) -> str:
    """Which finalists were left out for a training without a score."""
    rows = [row for row in comparison.rows if row.lost]
    told = [f"{title(record, row.key)} (seed {', '.join(map(str, row.lost))})" for row in rows]
    return f"Left out, for a training that gave no finite score: {'; '.join(told)}." if told else ""


def optimism(record: ConfirmationRecord, comparison: Comparison) -> str:
    """What the search's own scores were worth."""
    scale = Scale(record.objective)
    mean = comparison.optimism
    if mean is None:
        return ""
    if mean <= 0.0:
        return "On fresh seeds the finalists' validation scores are no worse than in the search."
    return (
        f"The finalists' search scores were better than their validation scores on fresh seeds by"
        f" {scale.size(mean)}: the best of many trials is partly luck."
    )


def looks(comparison: Comparison) -> str:
    """What it cost to add seeds after a look at the results."""
    if comparison.looks == 1:
        return ""
    times = count(comparison.looks - 1, "time")
    return f"Seeds were added {times}; for these looks each corrected p is {comparison.looks} times as large."


def scope(record: ConfirmationRecord) -> str:
    """What the interval is over, and what not."""
    pictures = "these test pictures" if not record.test_size else f"these {record.test_size:,} test pictures"
    turned = " Gains are signed so that more is better." if record.objective.direction == "minimize" else ""
    return f"The noise is that of the training seeds, on {pictures}; other data or another student may differ.{turned}"


def _other_constant(record: ConfirmationRecord, claim: Claim, row: FinalistRow, baseline: str) -> str:
    if claim.hardest == baseline:
        return ""
    test = difference(record, row.key, claim.hardest)
    if test is None:
        return ""
    name = title(record, claim.hardest)
    return f"Against {name}, the constant with the highest test score, it is {with_interval(record, test)}."


def _other_rules(record: ConfirmationRecord, comparison: Comparison, choice: Choice) -> str:
    if len(choice.standing) == 1:
        return ""
    parts = []
    for key, better in choice.outdone.items():
        test = difference(record, better, key)
        if test is not None:
            parts.append(
                f"{sentence_case(title(record, key))} is simpler and beats the constant too, but"
                f" {title(record, better)} is ahead of it: {with_interval(record, test)}."
            )
    top = max((comparison.of(key) for key in choice.standing), key=lambda row: row.test or 0.0)
    rules = f"Of the {len(choice.standing)} rules that beat the constant"
    ahead = difference(record, top.key, choice.winner)
    if top.key == choice.winner or ahead is None:
        return _join([*parts, f"{rules} it has the highest test score."])
    fewest = comparison.of(choice.winner).complexity
    simpler = f", which needs {count(fewest, 'number')} to its {top.complexity}," if fewest < top.complexity else ""
    parts.append(
        f"{rules}, {title(record, top.key)} has the highest test score, but its lead over this one{simpler} cannot be"
        f" told from noise: {with_interval(record, ahead)}."
    )
    return _join(parts)


def _would_have_been_seen(record: ConfirmationRecord, comparison: Comparison) -> str:
    scale = Scale(record.objective)
    seeds = count(len(record.seeds), "seed")
    if comparison.detectable is None:
        return f"The noise between the {seeds} is not known, so nothing can be said of gains that were missed."
    return f"With {seeds} a gain above {scale.size(comparison.detectable)} would have been seen four times in five."


def _nearest(record: ConfirmationRecord, comparison: Comparison, baseline: str) -> str:
    rows = [r for r in comparison.rows if r.role == "rule" and not r.lost and r.claim and r.difference]
    if not rows:
        return ""
    row = max(rows, key=lambda r: r.test or 0.0)
    gain, claim = row.difference, row.claim
    assert gain is not None  # as asked for above
    assert claim is not None
    parts = [f"The nearest rule, {title(record, row.key)}, stands at {with_interval(record, gain)}."]
    if gain.low is not None and gain.low > 0.0 and claim.hardest == baseline:
        among, after = count(comparison.rules, "rule"), "after Holm's correction"
        if comparison.rules == 1:  # so it is the looks
            among, after = count(comparison.looks, "look"), "for all of them"
        parts.append(f"Among {among} such a lead is not rare by chance ({p_text(claim.p_corrected)} {after}).")
    parts.append(_other_constant(record, claim, row, baseline))
    if gain.too_few_seeds:
        parts.append("Confirm again with more seeds: ten are a good number.")
    return _join(parts)


def _clear(test: PairedTest) -> bool:
    return test.low is not None and test.high is not None and (test.low > 0.0 or test.high < 0.0)


def _teacher(record: ConfirmationRecord) -> float | None:
    """The teacher's own score on the test pictures."""
    if record.objective.name == ACCURACY:
        return None if record.teacher is None else record.teacher.accuracy
    value = record.teacher_kpis.get(record.objective.name)
    return None if value is None else record.objective.score(value)


def _join(parts: list[str]) -> str:
    return " ".join(part for part in parts if part)
