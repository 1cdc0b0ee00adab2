"""Draws all trials by family: where the families stand, and how far the seeds and the trials scatter."""

from __future__ import annotations

import dataclasses
from typing import Any

from search.drawing import (
    GRID,
    INK,
    MUTED,
    Figure,
    Table,
    family_colour,
    finish,
    focus,
    jitter,
    lines_downwards,
    new_figure,
    score_axis,
    score_label,
    thinned,
)
from search.evidence import BestTrial, ReportSource, rule_title
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, count, family_title, sentence_case

_MOST_POINTS = 150
_ROW = 34
# Distances from the middle of a row: the name lies above the dots.
_LABEL, _DOTS = 0.22, 0.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoreRow:
    """One family: its finished trials' scores, best first, and its best trial."""

    family: str
    scores: tuple[float, ...]
    best: BestTrial


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScoresInfo:
    """The data of the figure."""

    scale: Scale
    rows: tuple[ScoreRow, ...]
    constant: BestTrial | None
    labels_alone: BestTrial | None
    limits: tuple[float, float]


def scores_figure(source: ReportSource) -> Figure | None:
    """Draw the figure; None while no trial has finished. Must be called inside `drawing.style`."""
    info = _get_scores_info(source)
    return _plot_scores(info) if info else None


def _get_scores_info(source: ReportSource) -> ScoresInfo | None:
    trials, scale = source.judged.finished, source.scale
    if not trials:
        return None
    comparison = source.judgement.comparison
    rows = tuple(
        ScoreRow(
            family=family.family,
            scores=tuple(t.score or 0.0 for t in trials if t.family == family.family),
            best=family.best,
        )
        for family in source.judgement.families
        if family.best is not None
    )
    ends = [row.best.score + sign * (row.best.spread or 0.0) for row in rows for sign in (-1, 1)]
    references = [b.score for b in (comparison.constant, comparison.labels_alone) if b is not None]
    return ScoresInfo(
        scale=scale,
        rows=rows,
        constant=comparison.constant,
        labels_alone=comparison.labels_alone,
        limits=focus([t.score or 0.0 for t in trials], [*ends, *references[:1]], scale),
    )


def _plot_scores(info: ScoresInfo) -> Figure:
    low, high = info.limits
    figure, (axes,) = new_figure(len(info.rows) * _ROW + 52, left=8, right=8, bottom=34, top=18)
    lines_downwards(axes, len(info.rows))
    score_axis(axes.xaxis, low, high, info.scale)
    axes.set_xlabel(score_label(info.scale))
    hidden = 0
    for place, row in enumerate(info.rows):
        hidden += sum(score < low for score in row.scores)
        _plot_row(axes, place, row, low, info.scale)
    for reference, dash in ((info.constant, "-"), (info.labels_alone, (0, (1, 1.5)))):
        if reference is not None and reference.score > low:
            # Beside the dots only, so that it crosses no label.
            starts = [place + _DOTS - 0.2 for place in range(len(info.rows))]
            ends = [start + 0.4 for start in starts]
            axes.vlines(
                [reference.score] * len(starts), starts, ends, color=INK, linewidth=1.0, linestyle=dash, zorder=2
            )
    if info.constant is not None:
        left_half = info.constant.score < (low + high) / 2
        axes.annotate(
            f"best constant, {rule_title(CONSTANT_FAMILY, info.constant.parameters)}",
            (info.constant.score, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            ha="left" if left_half else "right",
            fontsize=8.5,
            color=INK,
        )
    caption = (
        "Each dot is a finished trial, placed by its mean over the seeds. The diamond is the family's best; its bar is"
        " one standard deviation between seeds to either side. Upright strokes mark the best constant."
    )
    if info.labels_alone is not None and info.labels_alone.score > low:
        caption += f" Dotted: λ = 0, the labels alone ({info.scale.value(info.labels_alone.score)})."
    if hidden:
        caption += f" {count(hidden, 'trial')} further left {'is' if hidden == 1 else 'are'} not shown."
    return finish(
        figure,
        name="scores",
        title="Which family of rules scored best in the search?",
        caption=caption,
        finding=_finding(info),
        table=Table(
            ("family", "rank_in_family", "score"),
            tuple((row.family, rank, score) for row in info.rows for rank, score in enumerate(row.scores, start=1)),
        ),
    )


def _finding(info: ScoresInfo) -> str:
    first, last = info.rows[0], info.rows[-1]
    text = f"{sentence_case(family_title(first.family))} comes first with {info.scale.value(first.best.score)}"
    if last is first:
        return f"{text}."
    return f"{text}, {family_title(last.family)} last with {info.scale.value(last.best.score)}."


def _plot_row(axes: Any, place: int, row: ScoreRow, low: float, scale: Scale) -> None:
    colour = family_colour(row.family)
    shown = thinned([score for score in row.scores[1:] if score >= low], _MOST_POINTS)
    heights = [place + _DOTS + 0.12 * offset for offset in jitter(len(shown))]
    if place > 0:
        axes.axhline(place - 0.5, color=GRID, linewidth=0.7, zorder=0)
    axes.plot(shown, heights, "o", markersize=4.4, color=colour, alpha=0.5, markeredgewidth=0)
    axes.errorbar(row.best.score, place + _DOTS, xerr=row.best.spread or 0.0, color=colour, elinewidth=1.4, zorder=4)
    axes.plot(row.best.score, place + _DOTS, "D", markersize=6, color=colour, markeredgecolor=INK, markeredgewidth=0.7)
    label = {"xycoords": ("axes fraction", "data"), "fontsize": 8.5, "va": "center"}
    axes.annotate(family_title(row.family), (0.0, place - _LABEL), color=INK, **label)
    axes.annotate(scale.value(row.best.score), (1.0, place - _LABEL), color=MUTED, ha="right", **label)
