"""Chooses the numbers at the head of the page: two gains, the score of what to train with, and the teacher's."""

from __future__ import annotations

import dataclasses

from search.evidence import TEACHING, Confirmed, ReportSource, interval_in_words, rule_title, teacher_score, title
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, family_title

_MOST_TILES = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tile:
    """A number at the head of the page."""

    label: str
    value: str
    note: str = ""


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
    record, comparison, scale = confirmed.record, confirmed.comparison, Scale(confirmed.record.objective)

    def reached(label: str, key: str | None) -> Tile | None:
        if key is None:
            return None
        return Tile(label=label, value=scale.value(comparison.of(key).test, 1), note=title(record, key))

    gain, worth, is_rule = None, source.judgement.worth, confirmed.winner != confirmed.baseline
    if confirmed.rival is not None and (test := comparison.of(confirmed.rival).difference) is not None:
        gain = Tile(
            label=f"{'The rule' if is_rule else 'The nearest rule'} against the best constant",
            value=scale.margin(test.mean),
            note=f"{title(record, confirmed.rival)}; {interval_in_words(scale, test, len(test.seeds))}",
        )
    teaching = None
    if worth.mean is not None and worth.low is not None and worth.high is not None:
        interval = f"95 % interval {scale.interval(worth.low, worth.high)}"
        teaching = Tile(label="Distillation against labels alone", value=scale.margin(worth.mean), note=interval)
    return (
        gain,
        teaching,
        reached("The rule", confirmed.winner) if is_rule else None,
        reached("Best constant", confirmed.baseline),
        _teacher(source, teacher_score(record), record.teacher_figures and record.teacher_figures.parameters),
        reached("Labels alone", confirmed.labels_alone),
    )


def _of_search(source: ReportSource) -> tuple[Tile | None, ...]:
    search, scale, judgement = source.search, source.scale, source.judgement
    comparison, gain, teaching = judgement.comparison, None, None
    if comparison.differences:
        first = comparison.differences[0]
        gain = Tile(
            label="The best rule against the best constant",
            value=scale.margin(first.mean),
            note=f"{family_title(first.family)}; {interval_in_words(scale, first, len(first.seeds))}",
        )
    found = next((gain for gain in judgement.gains if gain.note == TEACHING), None)
    if found is not None:
        note = f"{found.ours}; {interval_in_words(scale, found, found.seeds)}"
        teaching = Tile(label="Distillation against labels alone", value=scale.margin(found.mean), note=note)
    best = judgement.families[0] if judgement.families else None
    rule, constant, alone = None, comparison.constant, comparison.labels_alone
    if best is not None and best.best is not None and best.family != CONSTANT_FAMILY:
        rule = Tile(label="Best rule", value=scale.value(best.best.score, 1), note=family_title(best.family))
    return (
        gain,
        teaching,
        rule,
        constant
        and Tile(
            label="Best constant",
            value=scale.value(constant.score, 1),
            note=rule_title(CONSTANT_FAMILY, constant.parameters),
        ),
        _teacher(source, search.teacher_accuracy if scale.is_accuracy else None, search.teacher_parameters),
        alone and Tile(label="Labels alone", value=scale.value(alone.score, 1), note="λ = 0"),
    )


def _teacher(source: ReportSource, score: float | None, parameters: int | None) -> Tile | None:
    """Return the teacher's score in the objective; None where it is not known, or while no trial has finished."""
    if score is None or not source.judged.finished:
        return None
    note = f"{parameters:,} parameters" if parameters else ""
    return Tile(label="Teacher", value=source.scale.value(score, 1), note=note)
