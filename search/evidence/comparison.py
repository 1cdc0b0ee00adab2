"""Every finalist against the best constant λ.

Which constant is the best is itself uncertain. `baseline` is the one that the fresh seeds' validation pictures name:
the choice leaves the test pictures untouched, so its test score is as unbiased as a rule's. It may be the wrong one by
a little, so a rule has to beat the constant with the highest test score as well (`highest`), which is an optimistic
score; that favours the constant. Training on the labels alone (λ = 0) and on the teacher alone (λ = 1) are
constants like the others.
"""

from __future__ import annotations

import math
import statistics

from search.confirmation import ConfirmationRecord, Finalist, Role
from search.evidence.paired import PairedTest, holm, paired_test
from search.evidence.power import LEVEL, detectable_effect, seeds_needed, shortfall
from trainables.objective import ACCURACY
from trainables.settings import Settings


class Claim(Settings):
    """How far a rule can be said to beat the best constant."""

    hardest: str
    """Key of the constant that is harder to beat: `baseline` or `highest`."""
    p_value: float
    """Against that constant: two-sided, and 1 where the rule is behind or its noise is not known."""
    p_corrected: float
    """After Holm's correction for the number of rules."""
    seeds_needed: int | None
    """To see a gain like the observed one over `hardest` with a power of 0.8; None if behind or above 1,000."""
    detectable: float | None
    """The smallest gain over the baseline that this many seeds would have shown, with a power of 0.8."""

    @property
    def stands(self) -> bool:
        """Whether the rule beats the best constant beyond the noise."""
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
    """With a finite score."""
    absent: tuple[int, ...]
    """Not trained yet."""
    lost: tuple[int, ...]
    """Trained, but without a finite score: such a finalist is neither baseline nor winner."""
    test: float | None
    spread: float | None
    """Standard deviation (ddof 1) of the test score; mostly the seeds' own, which pairing removes."""
    validation: float | None
    search_score: float | None
    optimism: float | None
    """`search_score` minus `validation`: what being the best of many trials added to it (the winner's curse)."""
    difference: PairedTest | None
    """Test score minus the baseline's; None for the baseline."""
    claim: Claim | None
    """Of a rule, where there is a baseline."""


class Comparison(Settings):
    """All finalists, in the record's order."""

    baseline: str | None
    """Key of the best constant by validation score; None where no constant has all of its seeds."""
    highest: str | None
    """Key of the constant with the highest test score."""
    rules: int
    """How many are tested together."""
    rows: tuple[FinalistRow, ...]

    @property
    def optimism(self) -> float | None:
        """The finalists' mean `optimism`; None if the search tried none of them."""
        known = [row.optimism for row in self.rows if row.optimism is not None]
        return statistics.fmean(known) if known else None

    @property
    def detectable(self) -> float | None:
        """The middle one of the rules' `detectable`: what a rule of ordinary noise would have had to gain."""
        known = [row.claim.detectable for row in self.rows if row.claim and row.claim.detectable is not None]
        return statistics.median(known) if known else None

    def of(self, key: str) -> FinalistRow:
        """The row of one finalist; `KeyError` if there is none."""
        for row in self.rows:
            if row.key == key:
                return row
        raise KeyError(key)


def compare(record: ConfirmationRecord) -> Comparison:
    """Compare every finalist with the best constant, finished or not."""
    rows = {finalist.key: _row(record, finalist) for finalist in record.finalists}
    constants = [row for row in rows.values() if row.role != "rule" and row.seeds and not row.lost and not row.absent]
    rules = [row.key for row in rows.values() if row.role == "rule"]
    if not constants:
        return Comparison(baseline=None, highest=None, rules=len(rules), rows=tuple(rows.values()))
    baseline = max(constants, key=lambda row: row.validation or 0.0).key
    highest = max(constants, key=lambda row: row.test or 0.0).key
    for key in rows.keys() - {baseline}:
        rows[key] = rows[key].model_copy(update={"difference": difference(record, key, baseline)})
    claims = {key: _claim(record, rows[key], baseline, highest, len(rules)) for key in rules}
    corrected = holm(claim.p_value for claim in claims.values())
    for (key, claim), p_corrected in zip(claims.items(), corrected, strict=True):
        rows[key] = rows[key].model_copy(update={"claim": claim.model_copy(update={"p_corrected": p_corrected})})
    return Comparison(baseline=baseline, highest=highest, rules=len(rules), rows=tuple(rows.values()))


def difference(record: ConfirmationRecord, ours: str, theirs: str) -> PairedTest | None:
    """The paired test of two finalists' test scores; None without a seed in common."""
    return paired_test(record.scores(ours), record.scores(theirs), _resolution(record))


def _resolution(record: ConfirmationRecord) -> float:
    """One picture in accuracy; 0 where it is not known, or where the score is a KPI whose steps are not known."""
    return 1.0 / record.test_size if record.test_size and record.objective.name == ACCURACY else 0.0


def _row(record: ConfirmationRecord, finalist: Finalist) -> FinalistRow:
    test = record.scores(finalist.key)
    validation = {r.seed: record.score(r, "validation") for r in record.results if r.finalist == finalist.key}
    finite = sorted(seed for seed in test if math.isfinite(test[seed]) and math.isfinite(validation[seed]))
    spread = statistics.stdev(test[seed] for seed in finite) if len(finite) > 1 else None
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
        spread=spread,
        validation=confirmed,
        search_score=finalist.search_score,
        optimism=None if confirmed is None or finalist.search_score is None else finalist.search_score - confirmed,
        difference=None,
        claim=None,
    )


def _claim(record: ConfirmationRecord, row: FinalistRow, baseline: str, highest: str, rules: int) -> Claim:
    tests = {key: difference(record, row.key, key) for key in dict.fromkeys((baseline, highest))}
    p_values = {key: 1.0 if test is None or test.p_ahead is None else test.p_ahead for key, test in tests.items()}
    hardest = max(p_values, key=p_values.__getitem__)
    test = tests[hardest]
    whole = not row.lost and not row.absent
    p_value = p_values[hardest] if whole else 1.0
    needed = seeds_needed(test.effect_size, rules) if test is not None and test.effect_size is not None else None
    return Claim(
        hardest=hardest,
        p_value=p_value,
        p_corrected=p_value,
        seeds_needed=needed,
        detectable=_detectable(tests[baseline], tests[highest], rules),
    )


def _detectable(to_baseline: PairedTest | None, to_highest: PairedTest | None, rules: int) -> float | None:
    """A gain over the baseline that clears both constants; the higher one's lead over the baseline comes on top."""
    gains = []
    for test in (to_baseline, to_highest):
        if to_baseline is None or test is None or test.deviation is None:
            return None
        seeds = len(test.seeds)
        gain = detectable_effect(seeds, rules) * test.deviation / shortfall(seeds)
        gains.append(gain + to_baseline.mean - test.mean)
    return max(gains)


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
