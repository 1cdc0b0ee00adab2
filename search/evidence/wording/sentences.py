"""Writes the sentences of a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from search.evidence.choice import Choice
from search.evidence.comparison import Claim, Comparison, FinalistRow, difference, expected_loss
from search.evidence.statistics.paired import PairedTest
from search.evidence.statistics.power import LEVEL
from search.evidence.wording.naming import p_text, title, with_interval
from search.records import ConfirmationRecord
from search.wording import Scale, count, number, sentence_case
from trainables.records import ACCURACY


def a_rule(record: ConfirmationRecord, comparison: Comparison, baseline: str, choice: Choice) -> tuple[str, str]:
    """Write headline and grounds where a rule beats the best constant."""
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
        _allowance(record),
        other_constants(record, comparison, claim, row, baseline),
        equal_settings(record, row, baseline),
        _other_rules(record, comparison, choice),
    ]
    return headline, join(parts)


def _allowance(record: ConfirmationRecord) -> str:
    allowance = expected_loss(record)
    if allowance <= 0.0:
        return ""
    size = Scale(record.objective).size(allowance)
    return f"The test asks for more than {size}, by which a constant that was not tried may be better."


def a_constant(
    record: ConfirmationRecord, comparison: Comparison, baseline: str, choice: Choice | None
) -> tuple[str, str]:
    """Write headline and grounds where no rule gains enough to be worth it."""
    scale = Scale(record.objective)
    constant = title(record, baseline)
    reached = f"The constant reaches {scale.value(comparison.of(baseline).test)} on the test pictures."
    if not comparison.rules:
        return f"The best constant is {constant}; no rule was confirmed.", reached
    largest, margin = comparison.largest_gain, record.margin
    assert largest is not None  # without it, the answer would not be this one
    assert margin is not None
    most = f"at most {scale.size(largest)}" if largest > 0.0 else "nothing"
    bound = (
        f"With 97.5 % confidence any of these rules, as tuned here, gains {most} over it, and"
        f" {scale.size(margin)} would be worth a rule."
    )
    small = "" if choice is None else _real_but_small(record, comparison, choice)
    parts = [bound, reached, small or nearest(record, comparison, baseline)]
    return f"Use {constant}: no rule is worth it here.", join(parts)


def no_answer(
    record: ConfirmationRecord, comparison: Comparison, baseline: str, choice: Choice | None
) -> tuple[str, str]:
    """Write headline and grounds where it is not known whether a rule is worth it."""
    scale = Scale(record.objective)
    constant = title(record, baseline)
    headline = f"Cannot tell yet whether a rule beats the best constant {constant}."
    parts = [
        f"Until then use {constant}, the safe choice: {scale.value(comparison.of(baseline).test)} on the test pictures."
    ]
    if choice is None:
        parts += [nearest(record, comparison, baseline), _would_have_been_seen(record, comparison)]
    else:
        parts.append(_unproven(record, comparison, choice))
    if record.margin is None:
        parts.append(
            "`confirm.smallest_gain` is not set, so it cannot be said that a gain is too small to be worth it."
        )
    return headline, join(parts)


def levels(record: ConfirmationRecord, comparison: Comparison) -> str:
    """Write the scores of the labels alone and of the teacher."""
    scale = Scale(record.objective)
    alone = [row for row in comparison.rows if row.role == "labels_alone" and row.seeds and not row.lost]
    if not alone:
        return ""
    labels = max(alone, key=lambda row: row.validation or 0.0)
    itself = _teacher(record)
    teacher = "" if itself is None else f" and the teacher itself {scale.value(itself)}"
    return f"Labels alone reach {scale.value(labels.test)}{teacher}."


def not_bracketed(record: ConfirmationRecord) -> str:
    """Write a caveat if the search did not bracket the constant."""
    facts = record.constant
    if facts is not None and facts.bracketed:
        return ""
    reason = _reason(record)
    return (
        f"The constant was not bracketed ({reason}): another λ may do better than the best one here. A search with a"
        " larger `constant.most_trials` brackets it."
    )


def range_ends(record: ConfirmationRecord, keys: Sequence[str]) -> str:
    """Write a caveat for each setting of these finalists that lies at an end of the range that was searched."""
    ends = () if record.constant is None else record.constant.ends
    whose: dict[str, list[str]] = {}
    for key in keys:
        for end in (end for end in ends if end.finalist == key):
            name, side = end.setting.replace("_", " "), "lower" if end.end == "low" else "upper"
            place = f"the best {name} ({number(end.value)}) lies at the {side} end of the range"
            whose.setdefault(place, []).append(title(record, key))
    return join(
        f"{sentence_case(names[0])}{_and_others(len(names) - 1)}: {place}; widen it before believing this."
        for place, names in whose.items()
    )


def _and_others(others: int) -> str:
    return f" and {count(others, 'other finalist')}" if others else ""


def test_uses(record: ConfirmationRecord) -> str:
    """Write a caveat if other confirmations have used the test set too."""
    uses = record.test_uses
    if uses is None or uses < 2:
        return ""
    chance = 100.0 * (1.0 - (1.0 - LEVEL) ** uses)
    return (
        f"This test set has been used by {uses} confirmations in this storage. If none of them had anything to find,"
        f" one would still name a rule with a chance of up to {chance:.0f} %."
    )


def lost(record: ConfirmationRecord, comparison: Comparison) -> str:
    """Name the finalists that were left out for a training without a finite score."""
    rows = [row for row in comparison.rows if row.lost]
    told = [f"{title(record, row.key)} (seed {', '.join(map(str, row.lost))})" for row in rows]
    return f"Left out, for a training that gave no finite score: {'; '.join(told)}." if told else ""


def optimism(record: ConfirmationRecord, comparison: Comparison) -> str:
    """Compare the search's own scores with those on fresh seeds."""
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
    """Say what it cost to add seeds after a look at the results."""
    if comparison.looks == 1:
        return ""
    times = count(comparison.looks - 1, "time")
    return f"Seeds were added {times}; for these looks each corrected p is {comparison.looks} times as large."


def scope(record: ConfirmationRecord, comparison: Comparison) -> str:
    """Say which noise the intervals cover."""
    size = f"{record.test_size:,} " if record.test_size else ""
    turned = " Gains are signed so that more is better." if record.objective.direction == "minimize" else ""
    if not comparison.seeds_only:
        noise = f"The noise is that of the training seeds and of the choice of {size}test pictures"
    else:
        noise = f"The noise is that of the training seeds only, on these {size}test pictures"
    return f"{noise}; other data or another student may differ.{turned}"


def other_constants(
    record: ConfirmationRecord, comparison: Comparison, claim: Claim, row: FinalistRow, baseline: str
) -> str:
    """Write the gain over the constant that is harder to beat than the best one, if there is one."""
    test = None if claim.hardest == baseline else difference(record, row.key, claim.hardest)
    if test is None:
        return ""
    name = title(record, claim.hardest)
    which = (
        "the constant with the highest test score"
        if claim.hardest == comparison.highest
        else "which the search could not tell from the best constant"
    )
    return f"Against {name}, {which}, it is {with_interval(record, test)}."


def equal_settings(record: ConfirmationRecord, row: FinalistRow, baseline: str) -> str:
    """Write the gain over the best constant at the rule's own settings; empty if another sentence has it."""
    told = baseline if row.claim is None else row.claim.hardest
    if row.equal is None or row.at_equal is None or row.equal in (baseline, told):
        return ""
    gain, constant = with_interval(record, row.at_equal), title(record, row.equal)
    return f"At its own learning rate and temperature it gains {gain} over {constant}."


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
    rules = f"Among the {len(choice.standing)} rules that beat the constant"
    ahead = difference(record, top.key, choice.winner)
    if top.key == choice.winner or ahead is None:
        return join([*parts, f"{rules} it has the highest test score."])
    fewest = comparison.of(choice.winner).complexity
    simpler = f", which needs {count(fewest, 'number')} instead of {top.complexity}," if fewest < top.complexity else ""
    parts.append(
        f"{rules}, {title(record, top.key)} has the highest test score, but its lead over this one{simpler} cannot be"
        f" told from noise: {with_interval(record, ahead)}."
    )
    return join(parts)


def _would_have_been_seen(record: ConfirmationRecord, comparison: Comparison) -> str:
    scale = Scale(record.objective)
    seeds = count(len(record.seeds), "seed")
    if comparison.detectable is None:
        return f"The noise between the {seeds} is not known, so nothing can be said of gains that were missed."
    return f"With {seeds} a gain above {scale.size(comparison.detectable)} would have been seen four times in five."


def nearest(record: ConfirmationRecord, comparison: Comparison, baseline: str) -> str:
    """Describe the rule with the highest test score, and say why an interval above zero is no proof."""
    rows = [r for r in comparison.rows if r.role == "rule" and not r.lost and r.claim and r.difference]
    if not rows:
        return ""
    row = max(rows, key=lambda r: r.test or 0.0)
    gain, claim = row.difference, row.claim
    assert gain is not None  # rows without these were dropped above
    assert claim is not None
    return join(
        [
            f"The nearest rule, {title(record, row.key)}, stands at {with_interval(record, gain)}.",
            _resolved(comparison, gain, claim, baseline),
            other_constants(record, comparison, claim, row, baseline),
            equal_settings(record, row, baseline),
        ]
    )


def _resolved(comparison: Comparison, gain: PairedTest, claim: Claim, baseline: str) -> str:
    """Say why a gain whose interval excludes zero does not decide."""
    if gain.low is None or gain.high is None or gain.low <= 0.0 <= gain.high:
        return ""
    if gain.high < 0.0:
        return "It is behind the constant."
    if claim.hardest != baseline and claim.p_value > LEVEL:
        return "That lead does not hold against every constant."
    if claim.p_value > LEVEL:
        return f"With so few seeds a claim asks for more than an interval above zero ({p_text(claim.p_value)})."
    if not claim.stands:
        among, after = count(comparison.rules, "rule"), "after Holm's correction"
        if comparison.rules == 1:  # so the looks are the reason
            among, after = count(comparison.looks, "look"), "for all of them"
        return f"Among {among} such a lead is not rare by chance ({p_text(claim.p_corrected)} {after})."
    return ""


def _real_but_small(record: ConfirmationRecord, comparison: Comparison, choice: Choice) -> str:
    row = comparison.of(choice.winner)
    assert row.difference is not None  # a rule that stands has been tested
    assert row.claim is not None
    return (
        f"{sentence_case(title(record, row.key))} is ahead by {with_interval(record, row.difference)}"
        f", {p_text(row.claim.p_corrected)} after correction: a real gain, but smaller than what is worth a rule."
    )


def _unproven(record: ConfirmationRecord, comparison: Comparison, choice: Choice) -> str:
    """Describe a rule that is ahead of a constant that was not bracketed."""
    row = comparison.of(choice.winner)
    assert row.difference is not None  # a rule that stands has been tested
    gain = with_interval(record, row.difference)
    return (
        f"{sentence_case(title(record, row.key))} is ahead of the best constant that was tried by {gain}. That constant"
        f" was not bracketed ({_reason(record)}), so a better one may have been missed; no number of seeds can tell."
        " Search again until the constant is bracketed."
    )


def _reason(record: ConfirmationRecord) -> str:
    default = "the search tried a few constants only"
    return default if record.constant is None else record.constant.reason or default


def _teacher(record: ConfirmationRecord) -> float | None:
    """Return the teacher's own score on the test pictures; None if it is not known."""
    if record.objective.name == ACCURACY:
        return None if record.teacher is None else record.teacher.accuracy
    value = record.teacher_kpis.get(record.objective.name)
    return None if value is None else record.objective.score(value)


def join(parts: Iterable[str]) -> str:
    """Join sentences to one paragraph, without the empty ones."""
    return " ".join(part for part in parts if part)
