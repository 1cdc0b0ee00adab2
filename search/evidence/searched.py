"""The search's answer in plain words, no stronger than its evidence."""

from __future__ import annotations

from typing import Literal

from search.evidence.ranking import (
    CONSTANT_FAMILY,
    BestTrial,
    ConstantComparison,
    FamilyRank,
    PairedDifference,
    rule_title,
)
from search.records import SearchRecord
from search.scale import Scale
from search.teacher_remark import teacher_remark
from search.wording import count, family_title, sentence_case
from trainables.settings import Settings

VerdictKind = Literal["ahead", "not_ahead", "no_comparison", "nothing_finished"]


class SearchVerdict(Settings):
    """`headline` answers, `evidence` says how far it holds, `caveat` what it does not say."""

    kind: VerdictKind
    headline: str
    evidence: str
    caveat: str

    @property
    def text(self) -> str:
        """All of it, as one paragraph."""
        return " ".join(part for part in (self.headline, self.evidence, self.caveat) if part)


def judge_search(
    search: SearchRecord, families: tuple[FamilyRank, ...], comparison: ConstantComparison, *, confirmed: bool
) -> SearchVerdict:
    """The verdict of a search, finished or not.

    Args:
        search: with the trials of one student.
        families: its ranking.
        comparison: its rules against its best constant.
        confirmed: a confirmation has an answer beside it, so this one is not told to be unconfirmed.
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
) -> tuple[VerdictKind, str, str]:
    first = families[0]
    assert first.best is not None  # `judge_search` has seen to it
    constant = comparison.constant
    if constant is None:
        headline = f"The best {scale.title} is {scale.value(first.best.score)}, by {family_title(first.family)}."
        evidence = "No constant λ has finished, so whether a rule beats a constant is not known."
        return "no_comparison", headline, evidence
    if not comparison.differences:
        headline = f"The best constant is {_weight(constant)}, at {scale.value(constant.score)}."
        return "no_comparison", headline, "No other family has a finished trial to compare with it."
    ahead = [d for d in comparison.differences if d.clearly_ahead]
    if ahead:
        return "ahead", _lead(ahead[0], constant, scale), _evidence_for(ahead[0], first, scale)
    headline = f"No rule is clearly ahead of a constant {_weight(constant)}."
    if first.family == CONSTANT_FAMILY:
        nearest = comparison.differences[0]
        return (
            "not_ahead",
            headline,
            f"That constant has the best score itself, {scale.value(constant.score)}; the best other rule,"
            f" {family_title(nearest.family)}, stands at {_margin(nearest, scale)}.",
        )
    return "not_ahead", headline, _evidence_against(comparison.differences[0], scale)


def _lead(difference: PairedDifference, constant: BestTrial, scale: Scale) -> str:
    return (
        f"{sentence_case(family_title(difference.family))} is ahead of the best constant {_weight(constant)} by"
        f" {scale.size(difference.mean)} {'of' if scale.is_accuracy else 'in'} {scale.on('validation')}."
    )


def _evidence_for(difference: PairedDifference, first: FamilyRank, scale: Scale) -> str:
    text = f"The lead is larger than the noise between seeds: {_margin(difference, scale)}."
    if first.family != difference.family and first.best is not None:
        text += (
            f" The best score, {scale.value(first.best.score)}, is {family_title(first.family)}'s, but its lead over"
            " the constant cannot be told from that noise."
        )
    return text


def _evidence_against(difference: PairedDifference, scale: Scale) -> str:
    name = family_title(difference.family)
    if difference.standard_error is None:
        seeds = "no seed in common" if not difference.seeds else "one seed"
        return (
            f"The best score is {name}'s, {scale.margin(difference.mean)} from the constant, but with {seeds} nothing"
            " tells a lead from noise; search again with more replicates."
        )
    if difference.too_few_seeds:
        return f"The best score is {name}'s: {_margin(difference, scale)}. More replicates would tell."
    noise = "its lead cannot be told from the noise between seeds"
    return f"The best score is {name}'s, but {noise}: {_margin(difference, scale)}."


def _margin(difference: PairedDifference, scale: Scale) -> str:
    if difference.standard_error is None or difference.low is None or difference.high is None:
        return f"{scale.margin(difference.mean)}, without a measure of noise"
    error, seeds = scale.deviation(difference.standard_error), count(len(difference.seeds), "seed")
    if difference.too_few_seeds:
        clear = scale.size((difference.high - difference.low) / 2)
        return (
            f"{scale.margin(difference.mean)} against the best constant, but {seeds} are too few to tell, since only a"
            f" difference above {clear} would be clear of the noise between them, more than all their scores lie apart"
        )
    return (
        f"{scale.margin(difference.mean)} against the best constant, standard error {error} (paired over {seeds},"
        f" 95 % interval {scale.interval(difference.low, difference.high)})"
    )


def _caveat(search: SearchRecord, families: tuple[FamilyRank, ...], confirmed: bool) -> str:
    size = search.validation_size
    pictures = "validation pictures" if size is None else f"{size:,} validation pictures"
    finished = sum(f.finished for f in families)
    raced = finished + sum(f.eliminated for f in families)
    best_of = f"the best of {count(finished, 'finished trial')}" if finished > 1 else "one finished trial"
    if raced > finished:
        best_of = f"the best of {raced:,} trials, {finished:,} of which came to their last seed,"
    optimistic = ", so it is optimistic" if raced > 1 else ""
    parts = (
        teacher_remark(search),
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
