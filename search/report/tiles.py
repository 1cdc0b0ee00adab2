"""Chooses the numbers at the head of the page: two gains, the score of what to train with, and the teacher's."""

from __future__ import annotations

import dataclasses

from search.evidence import (
    TEACHING,
    Confirmed,
    Gain,
    PairedDifference,
    PairedTest,
    ReportSource,
    interval_in_words,
    rule_title,
    teacher_score,
    title,
)
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, family_title

_MOST_TILES = 4
_TEACHING = "Distillation against labels alone"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    """A number at the head of the page; `gain` is true for a difference, which has an interval among its notes."""

    label: str
    value: str
    notes: tuple[str, ...] = ()
    gain: bool = False


def head_tiles(source: ReportSource) -> tuple[Tile, ...]:
    """Return four numbers at most, the most important first; what is not known leaves its place to the next."""
    confirmed = source.confirmed
    found = _of_confirmation(source, confirmed) if confirmed else _of_search(source)
    return tuple(tile for tile in found if tile is not None)[:_MOST_TILES]


def measured_on(source: ReportSource) -> str:
    """Say what the tiles' scores are, and for what their intervals hold."""
    search, scale, confirmed = source.search, source.scale, source.confirmed
    name = "Accuracy" if scale.is_accuracy else scale.title
    turned = "" if scale.objective.direction == "maximize" else " A gain above zero is an improvement."
    if confirmed is None:
        size = search.validation_size
        part = "the validation set" if size is None else f"{size:,} validation {search.unit}"
        return (
            f"{name} on {part}, of the best trial each. The rules were chosen on the same scores, so these are"
            f" optimistic.{turned}"
        )
    record = confirmed.record
    part = f"{record.test_size:,} test {search.unit}" if record.test_size else "a test set"
    holds = f"these test {search.unit} only" if confirmed.comparison.seeds_only else f"new {search.unit}"
    return (
        f"{name} on {part} that the search never saw, mean over {len(record.seeds)} fresh seeds. 95 % intervals hold"
        f" for new seeds and {holds}.{turned}"
    )


def _of_confirmation(source: ReportSource, confirmed: Confirmed) -> tuple[Tile | None, ...]:
    record, comparison, scale = confirmed.record, confirmed.comparison, source.scale
    is_rule, worth = confirmed.winner != confirmed.baseline, confirmed.verdict.worth

    def reached(label: str, key: str | None) -> Tile | None:
        return None if key is None else _score(scale, label, comparison.of(key).test, title(record, key))

    rule, teaching = None, None
    if confirmed.rival is not None and (test := comparison.of(confirmed.rival).difference) is not None:
        label = f"{'The rule' if is_rule else 'Nearest rule'} against best constant"
        rule = _gain(scale, label, test, title(record, confirmed.rival))
    if worth is not None:
        ends = [comparison.of(key).test for key in (worth.labels, worth.best)]
        teaching = _gain(scale, _TEACHING, worth.gain, _from_to(scale, *ends))
    parameters = record.teacher_figures.parameters if record.teacher_figures else None
    return (
        rule,
        teaching,
        reached("The rule", confirmed.winner) if is_rule else None,
        reached("Best constant", confirmed.baseline),
        _teacher(scale, teacher_score(record), parameters),
        reached("Labels alone", confirmed.labels_alone),
        None if is_rule else reached("Nearest rule", confirmed.rival),
    )


def _of_search(source: ReportSource) -> tuple[Tile | None, ...]:
    search, scale, judgement = source.search, source.scale, source.judgement
    comparison, families = judgement.comparison, [family for family in judgement.families if family.best is not None]
    if not families:
        return ()
    best, constant, alone = families[0].best, comparison.constant, comparison.labels_alone
    ranked = next((family for family in families if family.family != CONSTANT_FAMILY), None)
    gain, teaching, rule = None, None, None
    if comparison.differences:
        first = comparison.differences[0]
        gain = _gain(scale, "Best rule against best constant", first, family_title(first.family))
    found = next((found for found in judgement.gains if found.note == TEACHING), None)
    if found is not None and alone is not None and best is not None:
        teaching = _gain(scale, _TEACHING, found, _from_to(scale, alone.score, best.score))
    if ranked is not None and ranked.best is not None:
        rule = _score(scale, "Best rule", ranked.best.score, family_title(ranked.family))
    return (
        gain,
        teaching,
        rule if ranked is families[0] else None,
        None
        if constant is None
        else _score(scale, "Best constant", constant.score, rule_title(CONSTANT_FAMILY, constant.parameters)),
        _teacher(scale, search.teacher_accuracy if scale.is_accuracy else None, search.teacher_parameters),
        None if alone is None else _score(scale, "Labels alone", alone.score, "λ = 0"),
        None if ranked is families[0] else rule,
    )


def _gain(scale: Scale, label: str, test: PairedTest | PairedDifference | Gain, note: str) -> Tile:
    interval = interval_in_words(scale, test, test.seeds if isinstance(test.seeds, int) else len(test.seeds))
    return Tile(label=label, value=scale.margin(test.mean), notes=(note, interval), gain=True)


def _score(scale: Scale, label: str, score: float | None, note: str) -> Tile:
    return Tile(label=label, value=scale.value(score, 1), notes=(note,) if note else ())


def _from_to(scale: Scale, before: float | None, after: float | None) -> str:
    return f"{scale.value(before, 1)} → {scale.value(after, 1)}"


def _teacher(scale: Scale, score: float | None, parameters: int | None) -> Tile | None:
    """Return the teacher's score in the objective; None where it is not known."""
    return (
        None if score is None else _score(scale, "Teacher", score, f"{parameters:,} parameters" if parameters else "")
    )
