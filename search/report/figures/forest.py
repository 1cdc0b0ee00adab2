"""Draws the confirmed finalists against the best constant: differences on the test pictures, and their intervals."""

from __future__ import annotations

import statistics
from typing import Any, TypeAlias

from search.drawing import (
    DOTTED,
    INK,
    PAGE,
    POINTS,
    Figure,
    LegendItem,
    Table,
    difference_axis,
    family_colour,
    finish,
    label_line,
    name_above,
    new_lines,
    strokes,
)
from search.evidence import Confirmed, FinalistRow, PairedTest, title
from search.wording import Scale, count, sentence_case

_COLUMNS = (
    "finalist", "role", "difference", "low", "high", "p_value", "p_corrected", "effect_size", "seeds", "beats_constant",
)  # fmt: skip
_Compared: TypeAlias = tuple[FinalistRow, PairedTest]
"""A finalist, and its paired difference to the best constant."""


def forest_figure(confirmed: Confirmed) -> Figure | None:
    """Draw the figure; None if nothing is compared. Must be called inside `drawing.style`."""
    rows = _compared(confirmed)
    if not rows:
        return None
    scale, threshold = Scale(confirmed.record.objective), confirmed.comparison.detectable
    limits = _limits([test for _, test in rows], threshold)
    figure, axes = new_lines(len(rows), top=22)
    difference_axis(axes.xaxis, *limits, scale)
    unit = "points" if scale.is_accuracy else "more is better"
    axes.set_xlabel(f"difference of test {scale.objective.name}, {unit}")
    strokes(axes, 0.0, len(rows))
    name_above(axes, 0.0, "best constant", limits)
    if threshold is not None:
        strokes(axes, threshold, len(rows), DOTTED)
    for place, (row, test) in enumerate(rows):
        _plot_points(axes, place + POINTS, row, test, limits, filled=_stands(confirmed, row))
        label_line(axes, place, title(confirmed.record, row.key), _figures(test, scale))
    label = f"smallest gain that would have been seen ({scale.margin(threshold)})"
    return finish(
        figure,
        name="forest",
        title="Does a rule beat the best constant λ?",
        caption=_caption(confirmed, cut=any(_ends(test)[0] < limits[0] for _, test in rows)),
        finding=_finding(confirmed, rows, scale),
        legend=() if threshold is None else (LegendItem(label=label, colour=INK, dashed=True),),
        table=_table(confirmed),
    )


def _compared(confirmed: Confirmed) -> list[_Compared]:
    """Return the finalists other than the best constant, that with the highest difference first."""
    rows = [(row, row.difference) for row in confirmed.comparison.rows if row.difference is not None]
    return sorted(rows, key=lambda compared: -compared[1].mean)


def _stands(confirmed: Confirmed, row: FinalistRow) -> bool:
    """Return True if a finalist is better by the verdict's rule."""
    return confirmed.verdict.kind == "rule" and row.claim is not None and row.claim.stands


def _limits(tests: list[PairedTest], threshold: float | None) -> tuple[float, float]:
    """Return limits with all of the right side, but on the left only what shows how the good ones differ."""
    high = max(*(_ends(test)[1] for test in tests), threshold or 0.0, 0.0)
    halves = [(_ends(test)[1] - _ends(test)[0]) / 2 for test in tests]
    reach = max(high, 4 * statistics.median(halves), 1e-9)
    low = max(min(_ends(test)[0] for test in tests), -1.6 * reach)
    margin = 0.06 * (high - min(low, 0.0)) or 0.01
    return min(low, 0.0) - margin, high + margin


def _ends(test: PairedTest) -> tuple[float, float]:
    return (test.mean if test.low is None else test.low), (test.mean if test.high is None else test.high)


def _plot_points(
    axes: Any, at: float, row: FinalistRow, test: PairedTest, limits: tuple[float, float], *, filled: bool
) -> None:
    low, high = limits
    colour = family_colour(row.family)
    begin, end = _ends(test)
    axes.hlines([at], max(begin, low), min(max(end, low), high), color=colour, linewidth=2.0, zorder=3)
    if begin < low:
        axes.plot(low, at, "<", markersize=5, color=colour, markeredgewidth=0, clip_on=False, zorder=4)
    if test.mean >= low:
        face = colour if filled else PAGE
        axes.plot(test.mean, at, "D", markersize=6, color=colour, markeredgewidth=1.6, markerfacecolor=face, zorder=4)


def _figures(test: PairedTest, scale: Scale) -> str:
    mean = scale.difference(test.mean)
    return mean if test.low is None or test.high is None else f"{mean} ({scale.interval(test.low, test.high)})"


def _finding(confirmed: Confirmed, rows: list[_Compared], scale: Scale) -> str:
    constant = title(confirmed.record, confirmed.baseline)
    winners = [(title(confirmed.record, row.key), test) for row, test in rows if _stands(confirmed, row)]
    if winners:
        names = ", ".join(name for name, _ in winners)
        verb = "beats" if len(winners) == 1 else "beat"
        return (
            f"{sentence_case(names)} {verb} {constant} beyond the noise; the highest stands at"
            f" {_figures(winners[0][1], scale)}."
        )
    for row, test in rows:
        if row.key == confirmed.rival:
            return (
                f"{confirmed.verdict.headline} The nearest rule, {title(confirmed.record, row.key)}, stands at"
                f" {_figures(test, scale)} against {constant}."
            )
    return "No rule was confirmed."


def _caption(confirmed: Confirmed, *, cut: bool) -> str:
    seeds = count(len(confirmed.record.seeds), "fresh seed")
    text = (
        f"A diamond is the mean difference to the best constant over {seeds}, paired by seed, with its 95 % interval. A"
        " filled one beats the constants after Holm's correction for the number of rules."
    )
    return f"{text} An arrow means that the interval continues to the left." if cut else text


def _table(confirmed: Confirmed) -> Table:
    rows = []
    for row in confirmed.comparison.rows:
        test, claim = row.difference, row.claim
        difference = (getattr(test, name, None) for name in ("mean", "low", "high", "p_value"))
        p_corrected, stands = getattr(claim, "p_corrected", None), getattr(claim, "stands", None)
        effect = getattr(test, "effect_size", None)
        name = title(confirmed.record, row.key)
        rows.append((name, row.role, *difference, p_corrected, effect, len(row.seeds), stands))
    return Table(_COLUMNS, tuple(rows))
