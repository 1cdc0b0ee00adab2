"""Draws the winner's curse: the finalists' scores in the search, and on fresh seeds."""

from __future__ import annotations

from typing import Any, NamedTuple

from search.drawing import (
    INK,
    MUTED,
    POINTS,
    Figure,
    LegendItem,
    Table,
    family_colour,
    finish,
    label_line,
    new_lines,
    score_axis,
    score_label,
)
from search.evidence import Confirmed, title
from search.wording import Scale

_SHOWN = 10
"""The axis reaches below the median at most so many times the distance from the median to the highest score."""


class OptimismRow(NamedTuple):
    """One finalist's scores on the validation pictures: in the search, and on fresh seeds."""

    label: str
    family: str
    searched: float
    fresh: float


def optimism_figure(confirmed: Confirmed) -> Figure | None:
    """Draw the figure; None if the search tried no finalist. Must be called inside `drawing.style`."""
    rows, mean = _rows(confirmed), confirmed.comparison.optimism
    if mean is None:
        return None
    scale = Scale(confirmed.record.objective)
    low, high = _limits(rows)
    figure, axes = new_lines(len(rows), top=6)
    score_axis(axes.xaxis, low, high, scale)
    axes.set_xlabel(score_label(scale))
    for place, row in enumerate(rows):
        _plot_points(axes, place + POINTS, row, low)
        label_line(axes, place, row.label, scale.difference(row.fresh - row.searched))
    caption = (
        "Both scores are on the same validation set. The search's score is the best of many trials, so part of it"
        " is luck."
    )
    if any(min(row.searched, row.fresh) < low for row in rows):
        caption += " Scores further left are not drawn."
    return finish(
        figure,
        name="optimism",
        title="How much of the search's scores was luck?",
        caption=caption,
        finding=_finding(rows[0], mean, scale),
        legend=(
            LegendItem(label="in the search", colour=MUTED, dot=True),
            LegendItem(label="on fresh seeds", colour=INK, dot=True),
        ),
        table=Table(
            ("finalist", "search_score", "validation_score_on_fresh_seeds", "optimism"),
            tuple((row.label, row.searched, row.fresh, row.searched - row.fresh) for row in rows),
        ),
    )


def _rows(confirmed: Confirmed) -> list[OptimismRow]:
    """Return the finalists that the search had tried, that with the best search score first."""
    rows = [
        OptimismRow(title(confirmed.record, row.key), row.family, row.search_score, row.validation)
        for row in confirmed.comparison.rows
        if row.search_score is not None and row.validation is not None
    ]
    return sorted(rows, key=lambda row: -row.searched)


def _limits(rows: list[OptimismRow]) -> tuple[float, float]:
    scores = sorted(score for row in rows for score in (row.searched, row.fresh))
    middle, high = scores[len(scores) // 2], scores[-1]
    low = max(scores[0], middle - _SHOWN * max(high - middle, 1e-9))
    margin = 0.08 * max(high - low, 1e-9)
    return low - margin, high + margin


def _plot_points(axes: Any, at: float, row: OptimismRow, low: float) -> None:
    ends = sorted((max(row.searched, low), max(row.fresh, low)))
    axes.hlines([at], *ends, color=family_colour(row.family), linewidth=1.6, zorder=2)
    for score, colour, size in ((row.searched, MUTED, 5.0), (row.fresh, INK, 6.5)):
        if score >= low:
            axes.plot(score, at, "o", markersize=size, color=colour, markeredgewidth=0, zorder=3)


def _finding(first: OptimismRow, mean: float, scale: Scale) -> str:
    if mean <= 0.0:
        return "On fresh seeds the finalists score no worse than in the search."
    return (
        f"On fresh seeds the finalists lose {scale.size(mean)} on average; {first.label}, first in the"
        f" search, goes from {scale.value(first.searched)} to {scale.value(first.fresh)}."
    )
