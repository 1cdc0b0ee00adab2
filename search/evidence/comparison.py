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
from collections.abc import Iterable, Mapping

from search.evidence.scores import Scores
from search.evidence.statistics.paired import ROUNDING, PairedTest, holm, mean, spread
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

    @property
    def whole(self) -> bool:
        """True if it has a finite score under every seed."""
        return bool(self.seeds) and not self.lost and not self.absent

    @property
    def tested(self) -> tuple[PairedTest, Claim]:
        """`difference` and `claim` of a rule that was tested against a baseline."""
        assert self.difference is not None
        assert self.claim is not None
        return self.difference, self.claim


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
        return mean([row.optimism for row in self.rows if row.optimism is not None])

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

    @property
    def labels_alone(self) -> FinalistRow | None:
        """The finalist that was trained without a teacher; of several, the best on validation pictures."""
        rows = [row for row in self.rows if row.role == "labels_alone" and row.seeds and not row.lost]
        return max(rows, key=lambda row: row.validation or 0.0, default=None)

    @property
    def nearest(self) -> FinalistRow | None:
        """The rule with the highest test score, of those that were tested under every seed."""
        rows = [row for row in self.rows if row.role == "rule" and row.difference and not row.lost]
        return max(rows, key=lambda row: row.test or 0.0, default=None)

    def of(self, key: str) -> FinalistRow:
        """Return the row of one finalist; raise `KeyError` if there is none."""
        return {row.key: row for row in self.rows}[key]


def compare(record: ConfirmationRecord, scores: Scores | None = None) -> Comparison:
    """Compare every finalist of a confirmation, finished or not, with the best constant.

    Args:
        record: the confirmation's.
        scores: the same scores, if they were gathered already.
    """
    scores = scores or Scores(record)
    rows = {finalist.key: _row(scores, finalist) for finalist in record.finalists}
    constants = {key: row for key, row in rows.items() if row.role != "rule" and row.whole}
    rules = [row.key for row in rows.values() if row.role == "rule"]
    # Each request for more seeds adds a look at the results and thus a chance, and the chances share the level.
    looks = max(1, len(record.settings.get("seeds_asked", ())))
    if not constants:
        return Comparison(baseline=None, highest=None, rules=len(rules), looks=looks, rows=tuple(rows.values()))
    baseline = _baseline(scores, constants)
    highest = max(constants.values(), key=lambda row: row.test or 0.0).key
    asked = dict.fromkeys((scores.facts.chosen, *scores.facts.rivals))
    rivals = tuple(key for key in asked if key in constants and key != baseline)
    for key in rows.keys() - {baseline}:
        rows[key] = rows[key].model_copy(update={"difference": scores.difference(key, baseline)})
    against = tuple(dict.fromkeys((baseline, *rivals, highest)))
    claims = [_claim(rows[key], scores, against, len(rules), looks) for key in rules]
    corrected = holm(claim.p_value for claim in claims)
    for key, claim, p_value in zip(rules, claims, corrected, strict=True):
        claimed = claim.model_copy(update={"p_corrected": min(1.0, p_value * looks)})
        update = {"claim": claimed, **_at_equal_settings(scores, constants, key)}
        rows[key] = rows[key].model_copy(update=update)
    return Comparison(
        baseline=baseline,
        rivals=rivals,
        highest=highest,
        rules=len(rules),
        looks=looks,
        rows=tuple(rows.values()),
    )


def ahead(tests: Mapping[str, PairedTest | None]) -> dict[str, float]:
    """Return the tests in which the first finalist is ahead beyond the noise, with their p after Holm's correction."""
    p_values = {key: test.p_ahead for key, test in tests.items() if test is not None and test.p_ahead is not None}
    corrected = zip(p_values, holm(p_values.values()), strict=True)
    return {key: p_value for key, p_value in corrected if p_value <= LEVEL}


def _baseline(scores: Scores, constants: dict[str, FinalistRow]) -> str:
    """Return the constant that the search chose, unless another's fresh validation score leads beyond the noise.

    A choice by the fresh scores alone would favour the luckiest of equals: a student's validation and test scores share
    the luck of its training.
    """
    chosen = scores.facts.chosen
    candidates: Iterable[str] = constants
    if chosen is not None and chosen in constants:
        clear = ahead({key: scores.validated(key, chosen) for key in constants if key != chosen})
        candidates = clear or [chosen]
    return max(candidates, key=lambda key: constants[key].validation or 0.0)


def _at_equal_settings(scores: Scores, constants: dict[str, FinalistRow], rule: str) -> dict[str, object]:
    shared = {finalist.key: finalist.shared for finalist in scores.record.finalists}
    equal = [row for key, row in constants.items() if shared[key] == shared[rule]]
    if not equal:
        return {}
    best = max(equal, key=lambda row: row.validation or 0.0).key
    return {"equal": best, "at_equal": scores.difference(rule, best)}


def _row(scores: Scores, finalist: Finalist) -> FinalistRow:
    test, validation = scores.test[finalist.key], scores.validation[finalist.key]
    finite = sorted(seed for seed in test if math.isfinite(test[seed]) and math.isfinite(validation[seed]))
    confirmed = mean([validation[seed] for seed in finite])
    return FinalistRow(
        key=finalist.key,
        role=finalist.role,
        family=finalist.family,
        complexity=finalist.complexity,
        seeds=tuple(finite),
        absent=tuple(seed for seed in scores.record.seeds if seed not in test),
        lost=tuple(sorted(test.keys() - set(finite))),
        test=mean([test[seed] for seed in finite]),
        spread=spread([test[seed] for seed in finite]),
        validation=confirmed,
        search_score=finalist.search_score,
        optimism=None if confirmed is None or finalist.search_score is None else finalist.search_score - confirmed,
        difference=None,
        claim=None,
    )


def _claim(row: FinalistRow, scores: Scores, against: tuple[str, ...], rules: int, looks: int) -> Claim:
    """Make a rule's claim, before the correction.

    The rule must also beat an imagined constant, which exceeds each other one by the expected loss. Otherwise a better
    constant that the search missed would count as a gain of the rule.

    Args:
        row: the rule's row.
        scores: those of all finalists.
        against: the constants to beat; the baseline is the first.
        rules: the number of rules, which share the level, as the looks do.
        looks: the number of looks at the results.
    """
    allowance = scores.facts.expected_loss
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
        detectable=None if (gain := _detectable(list(noises.values()), rules * looks)) is None else gain + allowance,
        upper=None if lead is None or lead.error < ROUNDING else lead.mean + lead.half_width(LEVEL / looks),
    )


def _p_beyond(test: PairedTest | None, noises: TwoNoises | None, allowance: float) -> float:
    """Return the two-sided p-value of a lead beyond an allowance; 1 if it is no larger, or its noise is not known."""
    if test is None or test.p_ahead is None or noises is None or noises.mean <= allowance:
        return 1.0
    return dataclasses.replace(noises, mean=noises.mean - allowance).p_value


def _lead(test: PairedTest | None) -> float:
    return math.inf if test is None else test.mean


def _detectable(noised: list[TwoNoises | None], chances: int) -> float | None:
    """Return the gain over the baseline that clears every constant; a constant's lead over the baseline is added."""
    known = [noises for noises in noised if noises is not None and noises.error >= ROUNDING]
    if not known or len(known) < len(noised):
        return None
    return max(detectable_gain(noises, chances) + known[0].mean - noises.mean for noises in known)
