"""Draws the winner's curse: the finalists' scores in the search, and on fresh seeds."""

from __future__ import annotations

import dataclasses
from typing import Any

from search.drawing import (
    GRID,
    INK,
    MUTED,
    Figure,
    LegendItem,
    Table,
    css_colour,
    family_colour,
    finish,
    lines_downwards,
    new_figure,
    score_axis,
    score_label,
)
from search.evidence import Confirmed, title
from search.wording import Scale

_ROW = 34
_LABEL, _POINT = 0.22, 0.2
_SHOWN = 10
"""The axis reaches below the median at most so many times the distance from the median to the highest score."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimismRow:
    """One finalist's scores on the validation pictures: in the search, and on fresh seeds."""

    label: str
    family: str
    searched: float
    fresh: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptimismInfo:
    """The data of the figure, best search score first; `mean` is the finalists' mean optimism."""

    rows: tuple[OptimismRow, ...]
    mean: float
    limits: tuple[float, float]
    scale: Scale


def optimism_figure(confirmed: Confirmed) -> Figure | None:
    """Draw the figure; None if the search tried no finalist. Must be called inside `drawing.style`."""
    info = _get_optimism_info(confirmed)
    return _plot_optimism(info) if info else None


def _get_optimism_info(confirmed: Confirmed) -> OptimismInfo | None:
    rows = [
        OptimismRow(
            label=title(confirmed.record, row.key), family=row.family, searched=row.search_score, fresh=row.validation
        )
        for row in confirmed.comparison.rows
        if row.search_score is not None and row.validation is not None
    ]
    mean = confirmed.comparison.optimism
    if not rows or mean is None:
        return None
    rows.sort(key=lambda row: -row.searched)
    scores = sorted(score for row in rows for score in (row.searched, row.fresh))
    middle, high = scores[len(scores) // 2], scores[-1]
    low = max(scores[0], middle - _SHOWN * max(high - middle, 1e-9))
    margin = 0.08 * max(high - low, 1e-9)
    limits = (low - margin, high + margin)
    return OptimismInfo(rows=tuple(rows), mean=mean, limits=limits, scale=Scale(confirmed.record.objective))


def _plot_optimism(info: OptimismInfo) -> Figure:
    low, high = info.limits
    figure, (axes,) = new_figure(len(info.rows) * _ROW + 40, left=8, right=8, bottom=34, top=6)
    lines_downwards(axes, len(info.rows))
    score_axis(axes.xaxis, low, high, info.scale)
    axes.set_xlabel(score_label(info.scale))
    for place, row in enumerate(info.rows):
        _plot_row(axes, place, row, info)
    caption = (
        "Both scores are on the same validation pictures. The search's score is the best of many trials, so part of it"
        " is luck."
    )
    if any(min(row.searched, row.fresh) < low for row in info.rows):
        caption += " Scores further left are not drawn."
    return finish(
        figure,
        name="optimism",
        title="How much of the search's scores was luck?",
        caption=caption,
        finding=_finding(info),
        legend=(
            LegendItem(label="in the search", colour=css_colour(MUTED), dot=True),
            LegendItem(label="on fresh seeds", colour=css_colour(INK), dot=True),
        ),
        table=Table(
            ("finalist", "search_score", "validation_score_on_fresh_seeds", "optimism"),
            tuple((row.label, row.searched, row.fresh, row.searched - row.fresh) for row in info.rows),
        ),
    )


def _plot_row(axes: Any, place: int, row: OptimismRow, info: OptimismInfo) -> None:
    low, at = info.limits[0], place + _POINT
    if place > 0:
        axes.axhline(place - 0.5, color=GRID, linewidth=0.7, zorder=0)
    ends = sorted((max(row.searched, low), max(row.fresh, low)))
    axes.hlines([at], *ends, color=family_colour(row.family), linewidth=1.6, zorder=2)
    for score, colour, size in ((row.searched, MUTED, 5.0), (row.fresh, INK, 6.5)):
        if score >= low:
            axes.plot(score, at, "o", markersize=size, color=colour, markeredgewidth=0, zorder=3)
    label = {"xycoords": ("axes fraction", "data"), "fontsize": 8.5, "va": "center"}
    axes.annotate(row.label, (0.0, place - _LABEL), color=INK, **label)
    change = info.scale.difference(row.fresh - row.searched)
    axes.annotate(change, (1.0, place - _LABEL), color=MUTED, ha="right", **label)


def _finding(info: OptimismInfo) -> str:
    if info.mean <= 0.0:
        return "On fresh seeds the finalists score no worse than in the search."
    first = info.rows[0]
    return (
        f"On fresh seeds the finalists lose {info.scale.size(info.mean)} on average; {first.label}, first in the"
        f" search, goes from {info.scale.value(first.searched)} to {info.scale.value(first.fresh)}."
    )
