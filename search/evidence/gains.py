"""Lists what the recommended rule gains, and over which constants."""

from __future__ import annotations

from search.evidence.comparison import difference
from search.evidence.confirmed import Confirmed
from search.evidence.ranking import BestTrial, ConstantComparison, FamilyRank, PairedDifference, rule_title
from search.evidence.statistics.paired import PairedTest, paired_test
from search.evidence.wording.naming import p_text, title
from search.records import SearchRecord
from search.settings import CONSTANT_FAMILY
from search.wording import count, family_title
from trainables.settings import Settings

TEACHING = "what the teacher adds"
_AT_EQUAL = "at the rule's own learning rate and temperature; the constant's own best decides"


class Gain(Settings):
    """One paired difference of scores; positive where `ours` is ahead."""

    ours: str
    theirs: str
    mean: float
    low: float | None
    """Lower end of the 95 % interval; None where the noise is not known. `high` is the upper end."""
    high: float | None
    too_few_seeds: bool
    """True if the interval is too wide to tell anything; see `search.evidence.statistics.paired.PairedTest`."""
    seeds: int
    where: str
    """The pictures and seeds that it was measured on."""
    note: str = ""
    confirmed: bool


def confirmed_gains(confirmed: Confirmed, searched: ConstantComparison) -> tuple[Gain, ...]:
    """List the gains of a confirmation, and the gain that the search had promised; the first one is a report's subject.

    Args:
        confirmed: the confirmation.
        searched: the search's own comparison, for the gain that it had promised.
    """
    comparison = confirmed.comparison
    found: list[Gain | None] = []
    rival, baseline, highest = confirmed.rival, confirmed.baseline, comparison.highest
    if rival is not None:
        claim = comparison.of(rival).claim
        note = f"{p_text(claim.p_corrected)} after Holm's correction" if claim else ""
        found.append(_between(confirmed, rival, baseline, note))
        equal = comparison.of(rival).equal
        if equal not in (None, baseline):
            found.append(_between(confirmed, rival, equal or "", _AT_EQUAL))
        if highest is not None and highest != baseline:
            found.append(_between(confirmed, rival, highest, "the constant with the highest test score"))
    if confirmed.labels_alone not in (None, confirmed.winner):
        found.append(_between(confirmed, confirmed.winner, confirmed.labels_alone or "", TEACHING))
    if rival is not None:
        found.append(_promised(searched, comparison.of(rival).family))
    return tuple(gain for gain in found if gain is not None)


def _between(confirmed: Confirmed, ours: str, theirs: str, note: str) -> Gain | None:
    record = confirmed.record
    test = difference(record, ours, theirs)
    where = f"test pictures, {count(len(record.seeds), 'fresh seed')}"
    if test is None:
        return None
    return _gain(title(record, ours), title(record, theirs), test, where, note, confirmed=True)


def _promised(searched: ConstantComparison, family: str) -> Gain | None:
    """Return the gain of the same family in the search, over the constant that was best there."""
    promised, constant = searched.of(family), searched.constant
    if promised is None or constant is None:
        return None
    theirs = rule_title(CONSTANT_FAMILY, constant.parameters)
    where = f"in the search: validation pictures, {count(len(promised.seeds), 'seed')}"
    note = "what the search had promised; the best of many trials is partly luck"
    return _gain(family_title(family), theirs, promised, where, note, confirmed=False)


def searched_gains(
    search: SearchRecord, families: tuple[FamilyRank, ...], comparison: ConstantComparison
) -> tuple[Gain, ...]:
    """List the gains of a search that is not confirmed; there may be none.

    Args:
        search: the search, with the trials of one student.
        families: its ranking.
        comparison: its rules against its best constant.
    """
    constant, alone, found = comparison.constant, comparison.labels_alone, list[Gain]()
    resolution = search.resolution
    if constant is not None and comparison.differences:
        first = comparison.differences[0]
        theirs = rule_title(CONSTANT_FAMILY, constant.parameters)
        where = f"validation pictures, {count(len(first.seeds), 'seed')}"
        note = "each the best of several trials, so optimistic"
        found.append(_gain(family_title(first.family), theirs, first, where, note, confirmed=False))
        found += _at_equal_settings(search, first)
    best = families[0].best if families else None
    if best is not None and alone is not None and best.number != alone.number:
        test = paired_test(_scores(best), _scores(alone), resolution)
        if test is not None:
            where = f"validation pictures, {count(len(test.seeds), 'seed')}"
            name = rule_title(families[0].family, best.parameters)
            found.append(_gain(name, "λ = 0, the labels alone", test, where, TEACHING, confirmed=False))
    return tuple(found)


def _at_equal_settings(search: SearchRecord, difference: PairedDifference) -> list[Gain]:
    """Compare the best rule with the best constant at its learning rate and temperature, if that is another one."""
    rule = next(trial for trial in search.finished if trial.number == difference.number)
    constants = [trial for trial in search.finished if trial.family == CONSTANT_FAMILY]
    equal = next((trial for trial in constants if trial.shared == rule.shared), None)
    if equal is None or equal is constants[0]:
        return []
    score = search.objective.score_of
    ours, theirs = ({r.seed: score(r) for r in trial.history.replicates} for trial in (rule, equal))
    test = paired_test(ours, theirs, search.resolution)
    if test is None:
        return []
    where = f"validation pictures, {count(len(test.seeds), 'seed')}"
    title_of = rule_title(CONSTANT_FAMILY, equal.parameters)
    return [_gain(family_title(rule.family), title_of, test, where, _AT_EQUAL, confirmed=False)]


def _scores(best: BestTrial) -> dict[int, float]:
    return {seed.seed: seed.score for seed in best.seeds}


def _gain(
    ours: str, theirs: str, test: PairedTest | PairedDifference, where: str, note: str, *, confirmed: bool
) -> Gain:
    return Gain(
        ours=ours,
        theirs=theirs,
        mean=test.mean,
        low=test.low,
        high=test.high,
        too_few_seeds=test.too_few_seeds,
        seeds=len(test.seeds),
        where=where,
        note=note,
        confirmed=confirmed,
    )
