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
from search.evidence.paired import PairedTest, holm, paired_test, spread
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
    """After Holm's correction for the number of rules, times the number of looks."""
    seeds_needed: int | None
    """To see a gain like the observed one over `hardest` with a power of 0.8; None if behind or above 1,000."""
    detectable: float | None
    """The smallest gain over the baseline that this many seeds would have shown, with a power of 0.8; None without a
    score under every seed."""

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
    looks: int
    """How often the results could be looked at: once, and once more each time that seeds were added."""
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
    looks = _looks(record)
    if not constants:
        return Comparison(baseline=None, highest=None, rules=len(rules), looks=looks, rows=tuple(rows.values()))
    baseline = max(constants, key=lambda row: row.validation or 0.0).key
    highest = max(constants, key=lambda row: row.test or 0.0).key
    scores = {key: record.scores(key) for key in rows}
    resolution = _resolution(record)
    for key in rows.keys() - {baseline}:
        test = paired_test(scores[key], scores[baseline], resolution)
        rows[key] = rows[key].model_copy(update={"difference": test})
    claims = {}
    for key in rules:
        ahead = {baseline: rows[key].difference}
        if highest != baseline:
            ahead[highest] = paired_test(scores[key], scores[highest], resolution)
        claims[key] = _claim(rows[key], ahead, len(rules) * looks)
    corrected = holm(claim.p_value for claim in claims.values())
    for (key, claim), p_value in zip(claims.items(), corrected, strict=True):
        p_corrected = min(1.0, p_value * looks)
        rows[key] = rows[key].model_copy(update={"claim": claim.model_copy(update={"p_corrected": p_corrected})})
    return Comparison(baseline=baseline, highest=highest, rules=len(rules), looks=looks, rows=tuple(rows.values()))


def difference(record: ConfirmationRecord, ours: str, theirs: str) -> PairedTest | None:
    """The paired test of two finalists' test scores; None without a seed in common."""
    return paired_test(record.scores(ours), record.scores(theirs), _resolution(record))


def _resolution(record: ConfirmationRecord) -> float:
    """One picture in accuracy; 0 where it is not known, or where the score is a KPI whose steps are not known."""
    return 1.0 / record.test_size if record.test_size and record.objective.name == ACCURACY else 0.0


def _looks(record: ConfirmationRecord) -> int:
    """Whoever looks and then asks for more seeds has had a chance already, so the chances share the level."""
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


def _claim(row: FinalistRow, ahead: dict[str, PairedTest | None], chances: int) -> Claim:
    """What a rule can claim, before the correction.

    Args:
        row: the rule's.
        ahead: the rule against the baseline, then against the highest constant if that is another.
        chances: rules times looks, which share the level.
    """
    p_values = {key: 1.0 if test is None or test.p_ahead is None else test.p_ahead for key, test in ahead.items()}
    hardest = max(p_values, key=p_values.__getitem__)
    test = ahead[hardest]
    p_value = 1.0 if row.lost or row.absent else p_values[hardest]
    return Claim(
        hardest=hardest,
        p_value=p_value,
        p_corrected=p_value,
        seeds_needed=None if test is None or test.effect_size is None else seeds_needed(test.effect_size, chances),
        detectable=None if row.lost or row.absent else _detectable(list(ahead.values()), chances),
    )


def _detectable(ahead: list[PairedTest | None], chances: int) -> float | None:
    """A gain over the baseline that clears both constants; the higher one's lead over the baseline comes on top."""
    gains = []
    for test in ahead:
        if ahead[0] is None or test is None or test.deviation is None:
            return None
        seeds = len(test.seeds)
        gain = detectable_effect(seeds, chances) * test.deviation / shortfall(seeds)
        gains.append(gain + ahead[0].mean - test.mean)
    return max(gains)


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
