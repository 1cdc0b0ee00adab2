"""Lists the facts without which an answer would mislead, each in one sentence, once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from policies.families import FAMILIES
from search.evidence.conduct.edges import edges
from search.evidence.conduct.health import Finding, examine
from search.evidence.ranking import FamilyRank, rule_title
from search.evidence.wording.teacher_remark import teacher_remark
from search.records import SearchRecord, TrialRecord
from search.settings import CONSTANT_FAMILY, Domain, RangeSide
from search.wording import count, sentence_case
from trainables.settings import Settings

_MOST_NUMBERS = 5
_SHARED = ("learning_rate", "temperature")
_LEARNED_NOTHING = ("learned_nothing", "diverged")

RemarkKind = Literal["teacher", "equal_scores", "learned_nothing", "did_not_act", "edge", "trend"]


class Remark(Settings):
    """One fact that must be reported with an answer."""

    kind: RemarkKind
    subject: str
    """The rule, constant or trial that it is about; `teacher` or `search` where it is about these."""
    sentence: str


def remarks(
    search: SearchRecord, families: tuple[FamilyRank, ...], level: Collection[RangeSide] = ()
) -> tuple[Remark, ...]:
    """List all remarks on a search, the most serious first.

    Args:
        search: the search, with the trials of one student.
        families: its ranking. Ends of ranges and trends are reported for the best rule and the best constant.
        level: ends of shared ranges beyond which the constants have nothing to gain; these are not reported.
    """
    health = examine(search)
    findings = {trial.number: trial.findings for trial in health.trials}
    trials = {trial.number: trial for trial in search.trials}
    ranked = [rank for rank in families if rank.best is not None]
    rule = next((rank for rank in ranked if rank.family != CONSTANT_FAMILY), None)
    constant = next((rank for rank in ranked if rank.family == CONSTANT_FAMILY), None)
    told = [trials[rank.best.number] for rank in (rule, constant) if rank is not None and rank.best is not None]
    teacher = teacher_remark(search)
    return (
        *([Remark(kind="teacher", subject="teacher", sentence=teacher)] if teacher else []),
        *(Remark(kind=_overall(f), subject="search", sentence=_sentence(f.text)) for f in health.overall),
        *_lost(search, findings),
        *_not_acting(ranked),
        *(remark for trial in told for remark in _edges(search, trial, level)),
        *(remark for trial in told for remark in _trends(trial, findings.get(trial.number, ()))),
    )


def _overall(finding: Finding) -> RemarkKind:
    return "equal_scores" if finding.kind == "all_equal" else "learned_nothing"


def _lost(search: SearchRecord, findings: dict[int, tuple[Finding, ...]]) -> Iterable[Remark]:
    """Report the students that learned nothing, though others did, in one remark."""
    lost = [
        (trial, finding)
        for trial in search.trials
        for finding in findings.get(trial.number, ())
        if finding.kind in _LEARNED_NOTHING
    ]
    if not lost:
        return
    numbers = list(dict.fromkeys(trial.number for trial, _ in lost))
    shown = ", ".join(map(str, numbers[:_MOST_NUMBERS])) + (", …" if len(numbers) > _MOST_NUMBERS else "")
    first, finding = lost[0]
    if len(numbers) == 1:
        yield Remark(kind="learned_nothing", subject=f"trial {shown}", sentence=f"Trial {shown}: {finding.text}.")
        return
    yield Remark(
        kind="learned_nothing",
        subject=f"trials {shown}",
        sentence=(
            f"In {count(len(numbers), 'trial')} students learned nothing or diverged ({shown}). Trial"
            f" {first.number}: {finding.text}."
        ),
    )


def _not_acting(ranked: list[FamilyRank]) -> Iterable[Remark]:
    for rank in ranked:
        best = rank.best
        if best is None or (best.acts and not best.note and best.unused is None):
            continue
        subject = rule_title(rank.family, best.parameters)
        yield Remark(kind="did_not_act", subject=subject, sentence=f"{sentence_case(subject)} did this: {best.rule}")


def _edges(search: SearchRecord, trial: TrialRecord, level: Collection[RangeSide]) -> Iterable[Remark]:
    space, family = search.config.space, FAMILIES.get(trial.family)
    shared: dict[str, Domain] = {
        name: domain for name in _SHARED if (domain := getattr(space, name)) is not None and name in trial.shared
    }
    own = space.policies.get(trial.family, {})
    parameters = family.parameters() if family is not None else {}
    subject = rule_title(trial.family, trial.parameters)
    ends = (edge for edge in edges(trial.shared, shared) if (edge.name, edge.end) not in level)
    for edge in (*ends, *edges(trial.parameters, own, parameters)):
        text = edge.text.removeprefix("The best ")
        yield Remark(kind="edge", subject=subject, sentence=f"{sentence_case(subject)}: the best {text}")


def _trends(trial: TrialRecord, findings: tuple[Finding, ...]) -> Iterable[Remark]:
    subject = rule_title(trial.family, trial.parameters)
    for finding in findings:
        if finding.kind in ("rising", "fallen"):
            yield Remark(kind="trend", subject=subject, sentence=f"{sentence_case(subject)}: {finding.text}.")


def _sentence(text: str) -> str:
    return f"{sentence_case(text)}."
