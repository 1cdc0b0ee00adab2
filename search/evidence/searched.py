"""Gives the search's answer in plain words, no stronger than its evidence."""

from __future__ import annotations

from typing import Literal

from search.evidence.ranking import BestTrial, ConstantComparison, FamilyRank, PairedDifference, rule_title
from search.records import SearchRecord
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, count, family_title
from trainables.settings import Settings

SearchVerdictKind = Literal["unconfirmed", "no_comparison", "nothing_finished"]
"""A search by itself names candidates, never a winner."""
_CANDIDATES = 3


class SearchVerdict(Settings):
    """`headline` gives the answer, `evidence` says how far it holds, and `caveat` what it does not cover."""

    kind: SearchVerdictKind
    headline: str
    evidence: str
    caveat: str

    @property
    def text(self) -> str:
        """The whole verdict, as one paragraph."""
        return " ".join(part for part in (self.headline, self.evidence, self.caveat) if part)


def judge_search(
    search: SearchRecord, families: tuple[FamilyRank, ...], comparison: ConstantComparison, *, confirmed: bool
) -> SearchVerdict:
    """Judge a search, finished or not.

    Args:
        search: the search, with the trials of one student.
        families: its ranking.
        comparison: its rules against its best constant.
        confirmed: True if a confirmation has an answer too. Then the caveat does not say that it is not confirmed.
    """
    if not families or families[0].best is None:
        caveat = _progress(search) if families else ""
        return SearchVerdict(kind="nothing_finished", headline=_nothing(search), evidence="", caveat=caveat)
    kind, headline, evidence = _answer(families, comparison, Scale(search.objective))
    return SearchVerdict(kind=kind, headline=headline, evidence=evidence, caveat=_caveat(search, families, confirmed))


def _weight(constant: BestTrial) -> str:
    return rule_title(CONSTANT_FAMILY, constant.parameters)


def _answer(
    families: tuple[FamilyRank, ...], comparison: ConstantComparison, scale: Scale
) -> tuple[SearchVerdictKind, str, str]:
    first = families[0]
    assert first.best is not None  # `judge_search` has checked it
    constant = comparison.constant
    if constant is None:
        headline = f"The best {scale.title} is {scale.value(first.best.score)}, by {family_title(first.family)}."
        evidence = "No constant λ has finished, so whether a rule is better than a constant is not known."
        return "no_comparison", headline, evidence
    if not comparison.differences:
        headline = f"The best constant is {_weight(constant)}, at {scale.value(constant.score)}."
        return "no_comparison", headline, "No other family has a finished trial to compare with it."
    if first.family == CONSTANT_FAMILY:
        scored = f"the constant {_weight(constant)} scored highest in the search, {scale.value(constant.score)}"
    else:
        margin = scale.margin(comparison.differences[0].mean)
        scored = f"{_title(first)} scored highest in the search, {margin} against the best constant {_weight(constant)}"
    return "unconfirmed", f"Not confirmed: {scored}.", _candidates(comparison, families, scale)


def _title(rank: FamilyRank) -> str:
    did = "" if rank.best is None or rank.best.acts else " (which did not act as written)"
    return f"{family_title(rank.family)}{did}"


def _candidates(comparison: ConstantComparison, families: tuple[FamilyRank, ...], scale: Scale) -> str:
    leading = comparison.differences[:_CANDIDATES]
    told = "; ".join(f"{family_title(d.family)} {_margin(d, scale)}" for d in leading)
    if all(d.standard_error is None for d in leading):
        seeds = "no seed in common" if not leading[0].seeds else "one seed"
        return f"Candidates: {told}. With {seeds} nothing tells a lead from noise; search again with more replicates."
    return (
        f"Candidates, with uncorrected intervals: {told}. Each is the best of several trials, and {len(families)}"
        " families were tried, so an interval that leaves out zero shows no winner."
    )


def _margin(difference: PairedDifference, scale: Scale) -> str:
    if difference.standard_error is None or difference.low is None or difference.high is None:
        return f"{scale.margin(difference.mean)}, without a measure of noise"
    seeds = count(len(difference.seeds), "seed")
    if difference.too_few_seeds:
        clear = scale.size((difference.high - difference.low) / 2)
        return (
            f"{scale.margin(difference.mean)}, but {seeds} are too few to tell, since a difference would have to be"
            f" above {clear}, more than the range of all their scores, to be clear of the noise between them"
        )
    error = scale.deviation(difference.standard_error)
    return (
        f"{scale.margin(difference.mean)} (95 % interval {scale.interval(difference.low, difference.high)}, standard"
        f" error {error}, paired over {seeds})"
    )


def _caveat(search: SearchRecord, families: tuple[FamilyRank, ...], confirmed: bool) -> str:
    size = search.validation_size
    pictures = "validation pictures" if size is None else f"{size:,} validation pictures"
    finished = sum(f.finished for f in families)
    raced = finished + sum(f.eliminated for f in families)
    best_of = f"the best of {count(finished, 'finished trial')}" if finished > 1 else "one finished trial"
    if raced > finished:
        best_of = f"the best of {raced:,} trials, {finished:,} of which were trained under all seeds,"
    optimistic = ", so it is optimistic" if raced > 1 else ""
    parts = (
        f"This is a search score: {best_of} on the {pictures}{optimistic}.",
        "" if confirmed else "It is not confirmed on the test set.",
        _progress(search),
    )
    return " ".join(part for part in parts if part)


def _progress(search: SearchRecord) -> str:
    if search.status == "finished":
        return ""
    state = "is still running" if search.status == "running" else "was stopped"
    return f"The search {state}; at most {search.remaining:,} of {search.planned:,} trials are still to come."


def _nothing(search: SearchRecord) -> str:
    failed = sum(t.status == "failed" for t in search.trials)
    if failed and failed == len(search.trials) and not search.remaining:
        return f"{'The one trial' if failed == 1 else f'All {failed:,} trials'} failed, so there is nothing to rank."
    if failed:
        return f"No trial has finished and {count(failed, 'trial')} failed, so there is nothing to rank."
    return "No trial has finished, so there is nothing to rank."
