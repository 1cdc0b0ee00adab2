"""Draws all trials by family: where the families stand, and how far the seeds and the trials scatter."""

from __future__ import annotations

import dataclasses
from typing import Any

from search.drawing import (
    DOTTED,
    INK,
    POINTS,
    Figure,
    Table,
    family_colour,
    finish,
    focus,
    jitter,
    label_line,
    name_above,
    new_lines,
    score_axis,
    score_label,
    strokes,
    thinned,
)
from search.evidence import BestTrial, ReportSource, rule_title
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, count, family_title, sentence_case

_MOST_POINTS = 150


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One family: its finished trials' scores, best first, and its best trial."""

    family: str
    scores: tuple[float, ...]
    best: BestTrial


def scores_figure(source: ReportSource) -> Figure | None:
    """Draw the figure; None while no trial has finished. Must be called inside `drawing.style`."""
    rows, scale = _rows(source), source.scale
    if not rows:
        return None
    constant, labels_alone = source.judgement.comparison.constant, source.judgement.comparison.labels_alone
    low, high = _limits(source, rows)
    figure, axes = new_lines(len(rows), top=18)
    score_axis(axes.xaxis, low, high, scale)
    axes.set_xlabel(score_label(scale))
    for place, row in enumerate(rows):
        _plot_points(axes, place + POINTS, row, low)
        label_line(axes, place, family_title(row.family), scale.value(row.best.score))
    if constant is not None and constant.score > low:
        strokes(axes, constant.score, len(rows))
    caption = (
        "Each dot is a finished trial, placed by its mean over the seeds. The diamond is the family's best; its bar is"
        " one standard deviation between seeds to either side. Upright strokes mark the best constant."
    )
    if labels_alone is not None and labels_alone.score > low:
        strokes(axes, labels_alone.score, len(rows), DOTTED)
        caption += f" Dotted: λ = 0, the labels alone ({scale.value(labels_alone.score)})."
    if constant is not None:
        name = rule_title(CONSTANT_FAMILY, constant.parameters)
        name_above(axes, constant.score, f"best constant, {name}", (low, high))
    hidden = sum(score < low for row in rows for score in row.scores)
    if hidden:
        caption += f" {count(hidden, 'trial')} further left {'is' if hidden == 1 else 'are'} not shown."
    return finish(
        figure,
        name="scores",
        title="Which family of rules scored best in the search?",
        caption=caption,
        finding=_finding(rows, scale),
        table=Table(
            ("family", "rank_in_family", "score"),
            tuple((row.family, rank, score) for row in rows for rank, score in enumerate(row.scores, start=1)),
        ),
    )


def _rows(source: ReportSource) -> list[ScoreRow]:
    """Return the families with a finished trial, best family first."""
    trials = source.judged.finished
    return [
        ScoreRow(
            family=family.family,
            scores=tuple(t.score or 0.0 for t in trials if t.family == family.family),
            best=family.best,
        )
        for family in source.judgement.families
        if family.best is not None
    ]


def _limits(source: ReportSource, rows: list[ScoreRow]) -> tuple[float, float]:
    comparison = source.judgement.comparison
    shown = [row.best.score + sign * (row.best.spread or 0.0) for row in rows for sign in (-1, 1)]
    reference = comparison.constant or comparison.labels_alone
    if reference is not None:
        shown.append(reference.score)
    return focus([t.score or 0.0 for t in source.judged.finished], shown, source.scale)


def _finding(rows: list[ScoreRow], scale: Scale) -> str:
    first, last = rows[0], rows[-1]
    text = f"{sentence_case(family_title(first.family))} comes first with {scale.value(first.best.score)}"
    if last is first:
        return f"{text}."
    return f"{text}, {family_title(last.family)} last with {scale.value(last.best.score)}."


def _plot_points(axes: Any, at: float, row: ScoreRow, low: float) -> None:
    colour, best = family_colour(row.family), row.best
    shown = thinned([score for score in row.scores[1:] if score >= low], _MOST_POINTS)
    heights = [at + 0.12 * offset for offset in jitter(len(shown))]
    axes.plot(shown, heights, "o", markersize=4.4, color=colour, alpha=0.5, markeredgewidth=0)
    axes.errorbar(best.score, at, xerr=best.spread or 0.0, color=colour, elinewidth=1.4, zorder=4)
    axes.plot(best.score, at, "D", markersize=6, color=colour, markeredgecolor=INK, markeredgewidth=0.7)
