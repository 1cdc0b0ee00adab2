"""Gives the search's answer in plain words, no stronger than its evidence."""

from __future__ import annotations

from typing import Literal

from search.evidence.ranking import ConstantComparison, FamilyRank, PairedDifference, rule_title
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
    best = families[0].best if families else None
    if best is None:
        caveat = _progress(search) if families else ""
        return SearchVerdict(kind="nothing_finished", headline=_nothing(search), evidence="", caveat=caveat)
    scale, constant, first = Scale(search.objective), comparison.constant, family_title(families[0].family)
    kind: SearchVerdictKind = "no_comparison"
    weight = "" if constant is None else rule_title(CONSTANT_FAMILY, constant.parameters)
    if constant is None:
        headline = f"The best {scale.title} is {scale.value(best.score)}, by {first}."
        evidence = "No constant λ has finished, so whether a rule is better than a constant is not known."
    elif not comparison.differences:
        headline = f"The best constant is {weight}, at {scale.value(constant.score)}."
        evidence = "No other family has a finished trial to compare with it."
    else:
        kind, evidence = "unconfirmed", _candidates(comparison, families, scale)
        margin = scale.margin(comparison.differences[0].mean)
        did = "" if best.acts else " (which did not act as written)"
        who, lead = f"{first}{did}", f"{margin} against the best constant {weight}"
        if families[0].family == CONSTANT_FAMILY:
            who, lead = f"the constant {weight}", scale.value(constant.score)
        headline = f"Not confirmed: {who} scored highest in the search, {lead}."
    return SearchVerdict(kind=kind, headline=headline, evidence=evidence, caveat=_caveat(search, families, confirmed))


def _candidates(comparison: ConstantComparison, families: tuple[FamilyRank, ...], scale: Scale) -> str:
    leading = comparison.differences[:_CANDIDATES]
    told = "; ".join(f"{family_title(d.family)} {_margin(d, scale)}" for d in leading)
    if all(d.standard_error is None for d in leading):
        seeds = "no seed in common" if not leading[0].seeds else "one seed"
        return f"Candidates: {told}. With {seeds} nothing tells a lead from noise; search again with more replicates."
    return (
        f"Candidates, with uncorrected 95 % intervals: {told}.{_too_few(leading)} Each is the best of several trials,"
        f" and {len(families)} families were tried, so an interval that leaves out zero shows no winner."
    )


def _margin(difference: PairedDifference, scale: Scale) -> str:
    margin = scale.margin(difference.mean)
    if difference.low is None or difference.high is None:
        return f"{margin}, without a measure of noise"
    return margin if difference.too_few_seeds else f"{margin} ({scale.interval(difference.low, difference.high)})"


def _too_few(differences: tuple[PairedDifference, ...]) -> str:
    """Say once why some candidates have no interval."""
    without = [difference for difference in differences if difference.too_few_seeds]
    if not without:
        return ""
    seeds = count(min(len(difference.seeds) for difference in without), "seed")
    which = "it" if len(differences) == 1 else "those without an interval"
    return f" {seeds} cannot tell {which} from noise: an interval would be wider than all their scores lie apart."


def _caveat(search: SearchRecord, families: tuple[FamilyRank, ...], confirmed: bool) -> str:
    size = search.validation_size
    judged_on = "validation set" if size is None else f"{size:,} validation {search.unit}"
    finished = sum(f.finished for f in families)
    raced = finished + sum(f.eliminated for f in families)
    best_of = f"the best of {count(finished, 'finished trial')}" if finished > 1 else "one finished trial"
    if raced > finished:
        best_of = f"the best of {raced:,} trials, {finished:,} of which were trained under all seeds,"
    optimistic = ", so it is optimistic" if raced > 1 else ""
    parts = (
        f"This is a search score: {best_of} on the {judged_on}{optimistic}.",
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
