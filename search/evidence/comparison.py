"""Compares every finalist with the best constant λ.

It is not certain which constant is the best. `baseline` is the one that the search chose on its validation scores. If
the fresh seeds' validation scores contradict that choice, it is the best by these. Neither choice uses the test set.

The baseline may be slightly worse than the best constant. So a rule must also beat the constants that the search could
not tell from the chosen one (`rivals`). It must beat the one with the highest test score (`highest`) as well. Each of
these conditions favours the constant. Training on the labels alone (λ = 0) and on the teacher alone (λ = 1) are
constants like the others.
"""

from __future__ import annotations

import dataclasses
import math
import statistics

from search.evidence.scores import Scores
from search.evidence.statistics.paired import ROUNDING, PairedTest, holm, spread
from search.evidence.statistics.power import LEVEL, detectable_gain
from search.evidence.statistics.two_noises import TwoNoises
from search.records import ConfirmationRecord, Finalist, Role
from trainables.settings import Settings


class Claim(Settings):
    """States how far a rule can be said to beat the best constant."""

    hardest: str
    """Key of the constant that is hardest to beat: `baseline`, one of `rivals`, or `highest`."""
    p_value: float
    """Two-sided p-value against that constant; 1 where the rule is behind or its noise is not known."""
    p_corrected: float
    """`p_value` after Holm's correction for the number of rules, times the number of looks."""
    detectable: float | None
    """The smallest gain over the baseline that this confirmation would have shown with a power of 0.8; None without a
    score under every seed."""
    upper: float | None
    """Upper bound of the gain over the baseline, with 97.5 % confidence; looks share the other 2.5 %. None as for
    `detectable`."""

    @property
    def stands(self) -> bool:
        """True if the rule beats the best constant beyond the noise."""
        return self.p_corrected <= LEVEL


class FinalistRow(Settings):
    """One finalist under the fresh seeds.

    Scores are the record's: accuracies in [0, 1], or the user's KPI turned so that higher is better. Means are over the
    seeds that have a finite score on both sets.
    """

    key: str
    role: Role
    family: str
    complexity: int
    seeds: tuple[int, ...]
    """Seeds with a finite score."""
    absent: tuple[int, ...]
    """Seeds not trained yet."""
    lost: tuple[int, ...]
    """Seeds trained, but without a finite score. A finalist with such seeds is neither baseline nor winner."""
    test: float | None
    spread: float | None
    """Standard deviation (ddof 1) of the test score; mostly that of the seeds themselves, which pairing removes."""
    validation: float | None
    search_score: float | None
    optimism: float | None
    """`search_score` minus `validation`: the gain from being the best of many trials (the winner's curse)."""
    difference: PairedTest | None
    """Test score minus the baseline's; None for the baseline."""
    equal: str | None = None
    """Key of the best constant by validation score at this rule's own learning rate and temperature; None without one.
    A lead over it alone may come from settings at which constants are worse."""
    at_equal: PairedTest | None = None
    """Test score minus that constant's."""
    claim: Claim | None
    """The claim of a rule; None for a constant, or without a baseline."""


class Comparison(Settings):
    """All finalists, in the record's order."""

    baseline: str | None
    """Key of the best constant by validation scores; None where no constant has all of its seeds."""
    rivals: tuple[str, ...] = ()
    """Keys of the constants that the search could not tell from the best; a rule must beat them as well."""
    highest: str | None
    """Key of the constant with the highest test score."""
    rules: int
    """The number of rules that are tested together."""
    looks: int
    """The number of looks at the results that were possible: one, and one more each time that seeds were added."""
    rows: tuple[FinalistRow, ...]

    @property
    def optimism(self) -> float | None:
        """The finalists' mean `optimism`; None if the search tried none of them."""
        known = [row.optimism for row in self.rows if row.optimism is not None]
        return statistics.fmean(known) if known else None

    @property
    def detectable(self) -> float | None:
        """The median of the rules' `detectable`: the gain that a rule of ordinary noise would have needed."""
        known = [row.claim.detectable for row in self.rows if row.claim and row.claim.detectable is not None]
        return statistics.median(known) if known else None

    @property
    def seeds_only(self) -> bool:
        """True if an interval here holds for new seeds on these test samples alone."""
        return any(row.difference.seeds_only for row in self.rows if row.difference is not None)

    @property
    def largest_gain(self) -> float | None:
        """Upper bound of the largest gain of any rule over the baseline, with 97.5 % confidence.

        The bound of the truly best rule has this confidence, and the highest of all bounds is no lower. None without a
        rule, or if one of them has no bound. Rules that lost a seed are left out.
        """
        rows = [row for row in self.rows if row.claim is not None and not row.lost]
        bounds = [row.claim.upper for row in rows if row.claim is not None]
        known = [bound for bound in bounds if bound is not None]
        return max(known) if known and len(known) == len(bounds) else None

    def of(self, key: str) -> FinalistRow:
        """Return the row of one finalist; raise `KeyError` if there is none."""
        for row in self.rows:
            if row.key == key:
                return row
        raise KeyError(key)


def compare(record: ConfirmationRecord) -> Comparison:
    """Compare every finalist of a confirmation, finished or not, with the best constant."""
    return compare_scores(record, Scores(record))


def compare_scores(record: ConfirmationRecord, scores: Scores) -> Comparison:
    """Compare as `compare` does, from scores that were gathered already."""
    rows = {finalist.key: _row(record, finalist) for finalist in record.finalists}
    constants = {key: row for key, row in rows.items() if row.role != "rule" and _is_whole(row)}
    rules = [row.key for row in rows.values() if row.role == "rule"]
    looks = _looks(record)
    if not constants:
        return Comparison(baseline=None, highest=None, rules=len(rules), looks=looks, rows=tuple(rows.values()))
    baseline = _baseline(record, scores, constants)
    highest = max(constants.values(), key=lambda row: row.test or 0.0).key
    asked = () if record.constant is None else (record.constant.chosen, *record.constant.rivals)
    rivals = tuple(key for key in dict.fromkeys(asked) if key in constants and key != baseline)
    for key in rows.keys() - {baseline}:
        rows[key] = rows[key].model_copy(update={"difference": scores.difference(key, baseline)})
    claims = {}
    for key in rules:
        rows[key] = rows[key].model_copy(update=_at_equal_settings(record, scores, constants, key))
        against = dict.fromkeys((baseline, *rivals, highest))
        claims[key] = _claim(rows[key], scores, tuple(against), len(rules) * looks, looks, expected_loss(record))
    corrected = holm(claim.p_value for claim in claims.values())
    for (key, claim), p_value in zip(claims.items(), corrected, strict=True):
        p_corrected = min(1.0, p_value * looks)
        rows[key] = rows[key].model_copy(update={"claim": claim.model_copy(update={"p_corrected": p_corrected})})
    return Comparison(
        baseline=baseline,
        rivals=rivals,
        highest=highest,
        rules=len(rules),
        looks=looks,
        rows=tuple(rows.values()),
    )


def difference(record: ConfirmationRecord, ours: str, theirs: str) -> PairedTest | None:
    """Test the paired difference of two finalists' test scores; None without a seed in common."""
    return Scores(record).difference(ours, theirs)


def _is_whole(row: FinalistRow) -> bool:
    return bool(row.seeds) and not row.lost and not row.absent


def _baseline(record: ConfirmationRecord, scores: Scores, constants: dict[str, FinalistRow]) -> str:
    """Return the constant that the search chose, unless another's fresh validation score leads beyond the noise.

    A choice by the fresh scores alone would favour the luckiest of equals: a student's validation and test scores share
    the luck of its training.
    """
    chosen = None if record.constant is None else record.constant.chosen
    if chosen is None or chosen not in constants:
        return max(constants.values(), key=lambda row: row.validation or 0.0).key
    p_ahead = {}
    for key in constants.keys() - {chosen}:
        test = scores.validated(key, chosen)
        if test is not None and test.p_ahead is not None:
            p_ahead[key] = test.p_ahead
    corrected = dict(zip(p_ahead, holm(p_ahead.values()), strict=True))
    ahead = [key for key, p_value in corrected.items() if p_value <= LEVEL]
    return max(ahead, key=lambda key: constants[key].validation or 0.0, default=chosen)


def _at_equal_settings(
    record: ConfirmationRecord, scores: Scores, constants: dict[str, FinalistRow], rule: str
) -> dict[str, object]:
    shared = {finalist.key: finalist.shared for finalist in record.finalists}
    equal = [row for key, row in constants.items() if shared[key] == shared[rule]]
    if not equal:
        return {}
    best = max(equal, key=lambda row: row.validation or 0.0).key
    return {"equal": best, "at_equal": scores.difference(rule, best)}


def _looks(record: ConfirmationRecord) -> int:
    """Count the looks at the results. Each request for more seeds adds a chance, and the chances share the level."""
    return max(1, len(record.settings.get("seeds_asked", ())))


def _row(record: ConfirmationRecord, finalist: Finalist) -> FinalistRow:
    test = record.scores(finalist.key)
    validation = {r.seed: record.score(r, "validation") for r in record.results if r.finalist == finalist.key}
    finite = sorted(seed for seed in test if math.isfinite(test[seed]) and math.isfinite(validation[seed]))
    confirmed = _mean([validation[seed] for seed in finite])
    return FinalistRow(
        key=finalist.key,
        role=finalist.role,
        family=finalist.family,
        complexity=finalist.complexity,
        seeds=tuple(finite),
        absent=tuple(seed for seed in record.seeds if seed not in test),
        lost=tuple(sorted(test.keys() - set(finite))),
        test=_mean([test[seed] for seed in finite]),
        spread=spread([test[seed] for seed in finite]),
        validation=confirmed,
        search_score=finalist.search_score,
        optimism=None if confirmed is None or finalist.search_score is None else finalist.search_score - confirmed,
        difference=None,
        claim=None,
    )


def expected_loss(record: ConfirmationRecord) -> float:
    """Return by how much a constant that was not tried is expected to exceed the chosen one; 0 if that is not recorded.

    A rule must beat this imagined constant too. Otherwise a better constant that the search missed would count as a
    gain of the rule.
    """
    return 0.0 if record.constant is None else record.constant.expected_loss


def _claim(
    row: FinalistRow, scores: Scores, against: tuple[str, ...], chances: int, looks: int, allowance: float
) -> Claim:
    """Make a rule's claim, before the correction.

    Args:
        row: the rule's row.
        scores: those of all finalists.
        against: the constants to beat; the baseline is the first.
        chances: rules times looks, which share the level.
        looks: the number of looks at the results.
        allowance: the gain over each constant that must be exceeded beyond the noise.
    """
    tests = {key: row.difference if key == against[0] else scores.difference(row.key, key) for key in against}
    every = {key: scores.noises(row.key, key) for key in against}
    p_values = {key: _p_beyond(tests[key], every[key], allowance) for key in against}
    hardest = max(p_values, key=lambda key: (p_values[key], -_lead(tests[key])))
    whole = not (row.lost or row.absent)
    noises = every if whole else {}
    lead = noises.get(against[0])
    return Claim(
        hardest=hardest,
        p_value=p_values[hardest] if whole else 1.0,
        p_corrected=1.0,
        detectable=None if (gain := _detectable(list(noises.values()), chances)) is None else gain + allowance,
        upper=None if lead is None or lead.error < ROUNDING else lead.mean + lead.half_width(LEVEL / looks),
    )


def _p_beyond(test: PairedTest | None, noises: TwoNoises | None, allowance: float) -> float:
    """Return the two-sided p-value of a lead beyond an allowance; 1 if it is no larger, or its noise is not known."""
    if test is None or test.p_ahead is None or noises is None or noises.mean <= allowance:
        return 1.0
    return dataclasses.replace(noises, mean=noises.mean - allowance).p_value


def _lead(test: PairedTest | None) -> float:
    return math.inf if test is None else test.mean


def _detectable(ahead: list[TwoNoises | None], chances: int) -> float | None:
    """Return the gain over the baseline that clears every constant; a constant's lead over the baseline is added."""
    known = [noises for noises in ahead if noises is not None and noises.error >= ROUNDING]
    if not known or len(known) < len(ahead):
        return None
    return max(detectable_gain(noises, chances) + known[0].mean - noises.mean for noises in known)


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
