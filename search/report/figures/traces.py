"""Draws what the rules do along training: λ, and the geometry of the two gradients, with bands over the seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from search.drawing import (
    GRID,
    INK,
    Figure,
    LegendItem,
    epoch_axis,
    family_colour,
    finish,
    new_figure,
    plain_axis,
    thinned,
)
from search.report.tables.traces import BandPoint, TraceBand, trace_table
from search.wording import count, number, sentence_case

_MOST_POINTS = 200
_MOST_PANELS = 12
_LETTERS = 26
"""The most letters of a panel's title, so that it fits above half of a figure's width."""
_PARTS = 10
"""A figure's finding compares the first and the last tenth of the training."""

_Reading: TypeAlias = Literal["weight", "cosine", "norm_ratio"]


def trace_figures(bands: tuple[TraceBand, ...]) -> tuple[Figure, ...]:
    """Draw the figures for which there is something to show. Must be called inside `drawing.style`."""
    few = tuple(sorted((band for band in bands if band.shown), key=lambda band: band.constant))
    drawn = (
        _plot_weights(bands) if bands else None,
        _plot_cosine(few) if any(_finite(band, "cosine") for band in few) else None,
        _plot_norm_ratio(few) if any(_finite(band, "norm_ratio") for band in few) else None,
    )
    return tuple(figure for figure in drawn if figure is not None)


def _plot_weights(bands: tuple[TraceBand, ...]) -> Figure:
    shown = bands[:_MOST_PANELS]
    columns = 1 if len(shown) == 1 else 2
    rows = -(-len(shown) // columns)
    figure, axes = new_figure(
        rows * 84 + 38, rows=rows, columns=columns, left=30, right=8, bottom=34, top=18, gap=(14, 26)
    )
    for panel in axes[len(shown) :]:
        panel.set_axis_off()
    last = max(band.points[-1].epoch for band in shown)
    for place, (band, panel) in enumerate(zip(shown, axes, strict=False)):
        for other in shown:
            if other is not band:
                panel.plot(*_line(other, "weight"), color=GRID, linewidth=1.0, zorder=1)
        _fill(panel, band, "weight")
        panel.plot(*_line(band, "weight"), color=family_colour(band.family), linewidth=2.0, zorder=3)
        panel.set_title(_short(band.label), loc="left", color=INK, pad=4)
        panel.set_xlim(0, last)
        panel.set_ylim(-0.04, 1.04)
        panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"] if place % columns == 0 else [])
        plain_axis(panel.xaxis)
        if place + columns < len(shown):
            panel.tick_params(labelbottom=False)
        else:
            panel.set_xlabel("epoch")
    caption = (
        "λ is the weight of the teacher's loss: 1 follows the teacher alone, 0 the labels alone."
        f" {_how_averaged(shown)} The others are grey."
    )
    if len(bands) > len(shown):
        caption += f" {count(len(bands) - len(shown), 'more rule')} in the table of this figure."
    return finish(
        figure,
        name="weights",
        title="What does each rule do with λ?",
        caption=caption,
        finding=_weights_in_words(next((band for band in shown if not band.constant), shown[0])),
        table=trace_table(bands),
    )


def _weights_in_words(band: TraceBand) -> str:
    low, high = min(point.weight_low for point in band.points), max(point.weight_high for point in band.points)
    name = sentence_case(band.label)
    if high - low < 0.005:
        return f"{name} keeps λ at {low:.2f} throughout."
    begin, end = _ends(band, "weight")
    return f"{name} takes λ from {begin:.2f} at the start to {end:.2f} at the end, between {low:.2f} and {high:.2f}."


def _plot_cosine(bands: tuple[TraceBand, ...]) -> Figure:
    figure, (axes,) = new_figure(200)
    axes.axhline(0, color=INK, linewidth=0.7)
    for band in bands:
        _fill(axes, band, "cosine")
    _plot_lines(axes, bands, "cosine")
    plain_axis(axes.yaxis)
    axes.set_ylabel("cosine of the gradients")
    begin, end = _ends(bands[0], "cosine")
    return finish(
        figure,
        name="cosine",
        title="Do teacher and labels pull the same way?",
        caption=(
            "1: the same direction; 0: at right angles; below 0: what helps one harms the other."
            f" {_how_averaged(bands)}"
        ),
        finding=_tidy(
            f"Under {bands[0].label} the cosine is {begin:.2f} over the first tenth and {end:.2f} over the last."
        ),
        legend=_legend(bands),
        table=trace_table(bands),
    )


def _plot_norm_ratio(bands: tuple[TraceBand, ...]) -> Figure:
    figure, (axes,) = new_figure(200)
    axes.set_yscale("log")
    axes.axhline(1, color=INK, linewidth=0.7)
    _plot_lines(axes, bands, "norm_ratio")
    plain_axis(axes.yaxis, log=True)
    axes.set_ylabel("ratio of gradient lengths")
    begin, end = _ends(bands[0], "norm_ratio")
    return finish(
        figure,
        name="ratio",
        title="Whose gradient is longer, the teacher's or the labels'?",
        caption="Length of the teacher's gradient over the labels', logarithmic; above 1 the teacher pulls harder.",
        finding=_tidy(
            f"Under {bands[0].label} the teacher's gradient is {number(begin)} times as long as the labels' over the"
            f" first tenth and {number(end)} times over the last."
        ),
        legend=_legend(bands),
        table=trace_table(bands),
    )


def _plot_lines(axes: Any, bands: tuple[TraceBand, ...], reading: _Reading) -> None:
    for place, band in enumerate(bands):
        dash: Any = (0, (4, 2)) if band.constant else "-"
        # The best rule lies on top.
        order = 3 + (len(bands) - place) / 100
        axes.plot(*_line(band, reading), color=family_colour(band.family), linestyle=dash, zorder=order)
    epoch_axis(axes, max(band.points[-1].epoch for band in bands))


def _fill(axes: Any, band: TraceBand, reading: Literal["weight", "cosine"]) -> None:
    """Draw the range over the seeds, if there is one."""
    points = thinned(_finite(band, reading), _MOST_POINTS)
    low, high = ([getattr(point, f"{reading}_{end}") for point in points] for end in ("low", "high"))
    if low != high:
        epochs, colour = [point.epoch for point in points], family_colour(band.family)
        axes.fill_between(epochs, low, high, color=colour, alpha=0.22, linewidth=0, zorder=2)


def _line(band: TraceBand, reading: _Reading) -> tuple[list[float], list[float]]:
    points = thinned(_finite(band, reading), _MOST_POINTS)
    return [point.epoch for point in points], [getattr(point, reading) for point in points]


def _finite(band: TraceBand, reading: _Reading) -> list[BandPoint]:
    return [point for point in band.points if math.isfinite(getattr(point, reading))]


def _ends(band: TraceBand, reading: _Reading) -> tuple[float, float]:
    """Return the means over the first and the last tenth of the training; NaN if nothing is finite."""
    values = [getattr(point, reading) for point in _finite(band, reading)]
    if not values:
        return math.nan, math.nan
    part = max(1, len(values) // _PARTS)
    return sum(values[:part]) / part, sum(values[-part:]) / part


def _how_averaged(bands: Sequence[TraceBand]) -> str:
    seeds = max(band.seeds for band in bands)
    if seeds < 2:
        return "One seed."
    return f"Lines are means over {count(seeds, 'seed')}; bands reach from the lowest to the highest of them."


def _legend(bands: tuple[TraceBand, ...]) -> tuple[LegendItem, ...]:
    return tuple(
        LegendItem(label=band.label, colour=family_colour(band.family), dashed=band.constant) for band in bands
    )


def _short(label: str) -> str:
    label = label.partition(" (")[0]
    return label if len(label) <= _LETTERS else f"{label[: _LETTERS - 1].rstrip()}…"


def _tidy(text: str) -> str:
    return text.replace("-", "−")
