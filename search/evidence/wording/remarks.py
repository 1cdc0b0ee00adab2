"""Lists the facts without which an answer would mislead, each in one sentence, once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Literal

from policies.families import FAMILIES
from search.evidence.conduct.edges import edges
from search.evidence.conduct.health import Finding, examine
from search.evidence.ranking import FamilyRank, best_trials, rule_title
from search.evidence.wording.gating import unconfirmed_sentence
from search.evidence.wording.growth import budget_sentence
from search.evidence.wording.teacher_remark import teacher_remark
from search.records import SearchRecord, TrialRecord
from search.settings import CONSTANT_FAMILY, RangeSide
from search.wording import count, sentence_case
from trainables.settings import Settings

_MOST_NUMBERS = 5
_LEARNED_NOTHING = ("learned_nothing", "diverged")

RemarkKind = Literal["budget", "teacher", "equal_scores", "learned_nothing", "did_not_act", "edge", "trend", "gate"]
_OVERALL: dict[str, RemarkKind] = {"all_equal": "equal_scores", "nobody_learned": "learned_nothing"}


class Remark(Settings):
    """One fact that must be reported with an answer."""

    kind: RemarkKind
    subject: str
    """The rule, constant or trial that it is about; `teacher` or `search` where it is about these."""
    sentence: str


def remarks(
    search: SearchRecord,
    families: tuple[FamilyRank, ...],
    level: Collection[RangeSide] = (),
    *,
    gated: bool = False,
) -> tuple[Remark, ...]:
    """List all remarks on a search, the most serious first.

    Args:
        search: the search, with the trials of one student.
        families: its ranking. Ends of ranges and trends are reported for the best rule and the best constant.
        level: ends of shared ranges beyond which the constants have nothing to gain; these are not reported.
        gated: True if a confirmation has checked the KPI gates, so that the search's own scores say nothing of them.
    """
    health = examine(search)
    best = best_trials(search)
    rules = [trial for trial in best.values() if trial.family != CONSTANT_FAMILY]
    told = [*rules[:1], *(trial for trial in best.values() if trial.family == CONSTANT_FAMILY)]
    teacher, budget = teacher_remark(search), budget_sentence(search)
    return (
        *(() if gated else _gates(search, told)),
        *([Remark(kind="budget", subject="search", sentence=budget)] if budget else []),
        *([Remark(kind="teacher", subject="teacher", sentence=teacher)] if teacher else []),
        *(Remark(kind=_OVERALL[f.kind], subject="search", sentence=_sentence(f.text)) for f in health.overall),
        *_lost(health.trials),
        *_not_acting(families),
        *(remark for trial in told for remark in _edges(search, trial, level)),
        *(
            Remark(kind="trend", subject=(subject := _name(trial)), sentence=_sentence(f"{subject}: {finding.text}"))
            for trial in told
            if (finding := health.trials.get(trial.number)) is not None and finding.kind in ("rising", "fallen")
        ),
    )


def _gates(search: SearchRecord, trials: Iterable[TrialRecord]) -> Iterable[Remark]:
    for trial in trials:
        if sentence := unconfirmed_sentence(search, trial):
            yield Remark(kind="gate", subject=_name(trial), sentence=sentence)


def _lost(findings: dict[int, Finding]) -> Iterable[Remark]:
    """Report the students that learned nothing, though others did, in one remark."""
    lost = {number: finding for number, finding in findings.items() if finding.kind in _LEARNED_NOTHING}
    if not lost:
        return
    shown = ", ".join(map(str, list(lost)[:_MOST_NUMBERS])) + (", …" if len(lost) > _MOST_NUMBERS else "")
    first, finding = next(iter(lost.items()))
    sentence, subject = f"Trial {first}: {finding.text}.", f"trial {shown}"
    if len(lost) > 1:
        sentence = f"In {count(len(lost), 'trial')} students learned nothing or diverged ({shown}). {sentence}"
        subject = f"trials {shown}"
    yield Remark(kind="learned_nothing", subject=subject, sentence=sentence)


def _not_acting(families: tuple[FamilyRank, ...]) -> Iterable[Remark]:
    for rank in families:
        best = rank.best
        if best is None or (best.acts and not best.note and best.unused is None):
            continue
        subject = rule_title(rank.family, best.parameters)
        yield Remark(kind="did_not_act", subject=subject, sentence=f"{sentence_case(subject)} did this: {best.rule}")


def _edges(search: SearchRecord, trial: TrialRecord, level: Collection[RangeSide]) -> Iterable[Remark]:
    space, family = search.config.space, FAMILIES.get(trial.family)
    own = space.policies.get(trial.family, {})
    parameters = family.parameters() if family is not None else {}
    subject = _name(trial)
    ends = (edge for edge in edges(trial.shared, space.shared) if (edge.name, edge.end) not in level)
    for edge in (*ends, *edges(trial.parameters, own, parameters)):
        text = edge.text.removeprefix("The best ")
        yield Remark(kind="edge", subject=subject, sentence=f"{sentence_case(subject)}: the best {text}")


def _name(trial: TrialRecord) -> str:
    return rule_title(trial.family, trial.parameters)


def _sentence(text: str) -> str:
    return f"{sentence_case(text)}."
