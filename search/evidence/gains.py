"""Lists what the recommended rule gains, and over which constants."""

from __future__ import annotations

from search.evidence.confirmed import Confirmed
from search.evidence.ranking import ConstantComparison, FamilyRank, PairedDifference, compare_trials, rule_title
from search.evidence.scores import Scores
from search.evidence.statistics.paired import PairedTest
from search.evidence.wording.naming import p_text, title
from search.records import SearchRecord
from search.settings import CONSTANT_FAMILY
from search.wording import count, family_title
from trainables.settings import Settings

TEACHING = "what the teacher adds"
_VALIDATION = "validation set"
_PROMISED = "what the search had promised; the best of many trials is partly luck"
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
    """The set and the seeds that it was measured on."""
    note: str = ""
    confirmed: bool


def confirmed_gains(confirmed: Confirmed, searched: ConstantComparison) -> tuple[Gain, ...]:
    """List the gains of a confirmation, and the gain that the search had promised; the first one is a report's subject.

    Args:
        confirmed: the confirmation.
        searched: the search's own comparison, for the gain that it had promised.
    """
    record, comparison, baseline = confirmed.record, confirmed.comparison, confirmed.baseline
    row = None if confirmed.rival is None else comparison.of(confirmed.rival)
    pairs: list[tuple[str, str | None, str]] = []
    if row is not None:
        corrected = f"{p_text(row.claim.p_corrected)} after Holm's correction" if row.claim else ""
        pairs.append((row.key, baseline, corrected))
        others = ((row.equal, _AT_EQUAL), (comparison.highest, "the constant with the highest test score"))
        pairs += [(row.key, other, note) for other, note in others if other != baseline]
    if confirmed.labels_alone != confirmed.winner:
        pairs.append((confirmed.winner, confirmed.labels_alone, TEACHING))
    where, scores = f"test set, {count(len(record.seeds), 'fresh seed')}", Scores(record)
    found = [
        _gain(title(record, ours), title(record, theirs), scores.difference(ours, theirs), where, note, confirmed=True)
        for ours, theirs, note in pairs
        if theirs is not None
    ]
    if row is not None and searched.constant is not None:
        theirs = rule_title(CONSTANT_FAMILY, searched.constant.parameters)
        promised = searched.of(row.family)
        found.append(_gain(family_title(row.family), theirs, promised, f"in the search: {_VALIDATION}", _PROMISED))
    return tuple(gain for gain in found if gain is not None)


def searched_gains(
    search: SearchRecord, families: tuple[FamilyRank, ...], comparison: ConstantComparison
) -> tuple[Gain, ...]:
    """List the gains of a search that is not confirmed; there may be none.

    Args:
        search: the search, with the trials of one student.
        families: its ranking.
        comparison: its rules against its best constant.
    """
    trials = {trial.number: trial for trial in search.finished}
    constant, alone, found = comparison.constant, comparison.labels_alone, list[Gain | None]()
    if constant is not None and comparison.differences:
        first = comparison.differences[0]
        name, rule = family_title(first.family), trials[first.number]
        theirs = rule_title(CONSTANT_FAMILY, constant.parameters)
        found.append(_gain(name, theirs, first, _VALIDATION, "each the best of several trials, so optimistic"))
        alike = [t for t in trials.values() if t.family == CONSTANT_FAMILY and t.shared == rule.shared]
        if alike and alike[0].number != constant.number:
            theirs = rule_title(CONSTANT_FAMILY, alike[0].parameters)
            found.append(_gain(name, theirs, compare_trials(search, rule, alike[0]), _VALIDATION, _AT_EQUAL))
    best = families[0].best if families else None
    if best is not None and alone is not None and best.number != alone.number:
        name = rule_title(families[0].family, best.parameters)
        test = compare_trials(search, trials[best.number], trials[alone.number])
        found.append(_gain(name, "λ = 0, the labels alone", test, _VALIDATION, TEACHING))
    return tuple(gain for gain in found if gain is not None)


def _gain(
    ours: str,
    theirs: str,
    test: PairedTest | PairedDifference | None,
    where: str,
    note: str,
    *,
    confirmed: bool = False,
) -> Gain | None:
    """Build a gain; None without a test. Outside of a confirmation, the seeds are added to `where`."""
    if test is None:
        return None
    return Gain(
        ours=ours,
        theirs=theirs,
        mean=test.mean,
        low=test.low,
        high=test.high,
        too_few_seeds=test.too_few_seeds,
        seeds=len(test.seeds),
        where=where if confirmed else f"{where}, {count(len(test.seeds), 'seed')}",
        note=note,
        confirmed=confirmed,
    )
