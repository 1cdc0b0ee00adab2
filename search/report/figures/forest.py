"""Draws the confirmed finalists against the best constant: differences on the test pictures, and their intervals."""

from __future__ import annotations

import dataclasses
import statistics
from typing import Any

from search.drawing import (
    GRID,
    INK,
    MUTED,
    PAGE,
    Figure,
    LegendItem,
    Table,
    css_colour,
    difference_axis,
    family_colour,
    finish,
    lines_downwards,
    new_figure,
)
from search.evidence import Confirmed, PairedTest, title
from search.records import Role
from search.wording import Scale, count, sentence_case

_ROW = 34
_LABEL, _POINT = 0.22, 0.2
_COLUMNS = (
    "finalist", "role", "difference", "low", "high", "p_value", "p_corrected", "effect_size", "seeds", "beats_constant",
)  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForestRow:
    """One finalist: its mean paired difference to the best constant; `stands` if it is better by the verdict's rule."""

    key: str
    label: str
    role: Role
    family: str
    test: PairedTest
    stands: bool


@dataclasses.dataclass(frozen=True, kw_only=True)
class ForestInfo:
    """The data of the figure. `threshold` is the smallest gain that would have been seen; None if not known."""

    rows: tuple[ForestRow, ...]
    constant: str
    threshold: float | None
    limits: tuple[float, float]
    scale: Scale


def forest_figure(confirmed: Confirmed) -> Figure | None:
    """Draw the figure; None if nothing is compared. Must be called inside `drawing.style`."""
    info = _get_forest_info(confirmed)
    return _plot_forest(confirmed, info) if info.rows else None


def _get_forest_info(confirmed: Confirmed) -> ForestInfo:
    record, comparison = confirmed.record, confirmed.comparison
    rows = [
        ForestRow(
            key=row.key,
            label=title(record, row.key),
            role=row.role,
            family=row.family,
            test=row.difference,
            stands=confirmed.verdict.kind == "rule" and row.claim is not None and row.claim.stands,
        )
        for row in comparison.rows
        if row.difference is not None
    ]
    rows.sort(key=lambda row: -row.test.mean)
    return ForestInfo(
        rows=tuple(rows),
        constant=title(record, confirmed.baseline),
        threshold=comparison.detectable,
        limits=_limits([row.test for row in rows], comparison.detectable),
        scale=Scale(record.objective),
    )


def _limits(tests: list[PairedTest], threshold: float | None) -> tuple[float, float]:
    """Return limits with all of the right side, but on the left only what shows how the good ones differ."""
    if not tests:
        return -1.0, 1.0
    high = max(*(_ends(test)[1] for test in tests), threshold or 0.0, 0.0)
    halves = [(_ends(test)[1] - _ends(test)[0]) / 2 for test in tests]
    reach = max(high, 4 * statistics.median(halves), 1e-9)
    low = max(min(_ends(test)[0] for test in tests), -1.6 * reach)
    margin = 0.06 * (high - min(low, 0.0)) or 0.01
    return min(low, 0.0) - margin, high + margin


def _ends(test: PairedTest) -> tuple[float, float]:
    return (test.mean if test.low is None else test.low), (test.mean if test.high is None else test.high)


def _plot_forest(confirmed: Confirmed, info: ForestInfo) -> Figure:
    low, high = info.limits
    figure, (axes,) = new_figure(len(info.rows) * _ROW + 56, left=8, right=8, bottom=34, top=22)
    lines_downwards(axes, len(info.rows))
    difference_axis(axes.xaxis, low, high, info.scale)
    unit = "points" if info.scale.is_accuracy else "more is better"
    axes.set_xlabel(f"difference of test {info.scale.objective.name}, {unit}")
    _strokes(axes, 0.0, len(info.rows), "-")
    _above(axes, 0.0, "best constant", info.limits)
    if info.threshold is not None:
        _strokes(axes, info.threshold, len(info.rows), (0, (1, 1.5)))
    for place, row in enumerate(info.rows):
        _plot_row(axes, place, row, info)
    return finish(
        figure,
        name="forest",
        title="Does a rule beat the best constant λ?",
        caption=_caption(confirmed, info),
        finding=_finding(confirmed, info),
        legend=_legend(info),
        table=_table(confirmed),
    )


def _plot_row(axes: Any, place: int, row: ForestRow, info: ForestInfo) -> None:
    low, high = info.limits
    colour, at = family_colour(row.family), place + _POINT
    if place > 0:
        axes.axhline(place - 0.5, color=GRID, linewidth=0.7, zorder=0)
    begin, end = _ends(row.test)
    axes.hlines([at], max(begin, low), min(max(end, low), high), color=colour, linewidth=2.0, zorder=3)
    if begin < low:
        axes.plot(low, at, "<", markersize=5, color=colour, markeredgewidth=0, clip_on=False, zorder=4)
    if row.test.mean >= low:
        face = colour if row.stands else PAGE
        axes.plot(
            row.test.mean, at, "D", markersize=6, color=colour, markeredgewidth=1.6, markerfacecolor=face, zorder=4
        )
    label = {"xycoords": ("axes fraction", "data"), "fontsize": 8.5, "va": "center"}
    axes.annotate(row.label, (0.0, place - _LABEL), color=INK, **label)
    axes.annotate(_figures(row.test, info.scale), (1.0, place - _LABEL), color=MUTED, ha="right", **label)


def _strokes(axes: Any, x: float, rows: int, dash: Any) -> None:
    """Draw upright strokes beside the points only, so that they cross no words."""
    starts = [place + _POINT - 0.2 for place in range(rows)]
    axes.vlines([x] * rows, starts, [s + 0.4 for s in starts], color=INK, linewidth=1.0, linestyle=dash, zorder=2)


def _above(axes: Any, x: float, words: str, limits: tuple[float, float]) -> None:
    left_half = x < sum(limits) / 2
    axes.annotate(
        words, (x, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 4), textcoords="offset points",
        ha="left" if left_half else "right", fontsize=8.5, color=INK,
    )  # fmt: skip


def _figures(test: PairedTest, scale: Scale) -> str:
    mean = scale.difference(test.mean)
    return mean if test.low is None or test.high is None else f"{mean} ({scale.interval(test.low, test.high)})"


def _legend(info: ForestInfo) -> tuple[LegendItem, ...]:
    if info.threshold is None:
        return ()
    label = f"smallest gain that would have been seen ({info.scale.margin(info.threshold)})"
    return (LegendItem(label=label, colour=css_colour(INK), dashed=True),)


def _finding(confirmed: Confirmed, info: ForestInfo) -> str:
    winners = [row for row in info.rows if row.stands]
    if winners:
        names = ", ".join(row.label for row in winners)
        verb = "beats" if len(winners) == 1 else "beat"
        return f"{sentence_case(names)} {verb} {info.constant} beyond the noise; the highest stands at" + (
            f" {_figures(max(winners, key=lambda row: row.test.mean).test, info.scale)}."
        )
    nearest = next((row for row in info.rows if row.key == confirmed.rival), None)
    if nearest is None:
        return "No rule was confirmed."
    return (
        f"{confirmed.verdict.headline} The nearest rule, {nearest.label}, stands at"
        f" {_figures(nearest.test, info.scale)} against {info.constant}."
    )


def _caption(confirmed: Confirmed, info: ForestInfo) -> str:
    seeds = count(len(confirmed.record.seeds), "fresh seed")
    text = (
        f"A diamond is the mean difference to the best constant over {seeds}, paired by seed, with its 95 % interval. A"
        " filled one beats the constants after Holm's correction for the number of rules."
    )
    if any(_ends(row.test)[0] < info.limits[0] for row in info.rows):
        text += " An arrow means that the interval continues to the left."
    return text


def _table(confirmed: Confirmed) -> Table:
    rows = []
    for row in confirmed.comparison.rows:
        test, claim = row.difference, row.claim
        rows.append(
            (
                title(confirmed.record, row.key),
                row.role,
                test.mean if test else None,
                test.low if test else None,
                test.high if test else None,
                test.p_value if test else None,
                claim.p_corrected if claim else None,
                test.effect_size if test else None,
                len(row.seeds),
                claim.stands if claim else None,
            )
        )
    return Table(_COLUMNS, tuple(rows))
