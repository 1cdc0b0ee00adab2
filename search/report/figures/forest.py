"""Draws what each rule gains over the best constant λ, with intervals: of the confirmation, or else of the search."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

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
from search.evidence import Confirmed, PairedDifference, PairedTest, ReportSource, title
from search.wording import Scale, count, family_title, sentence_case

_COLUMNS = (
    "finalist", "role", "difference", "low", "high", "p_value", "p_corrected", "effect_size", "seeds", "beats_constant",
)  # fmt: skip
_MOST_RULES = 7


class GainRow(NamedTuple):
    """One rule's gain over the best constant; `low` and `high` are None without an interval that can tell anything."""

    label: str
    family: str
    mean: float
    low: float | None
    high: float | None
    stands: bool

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the interval; both are the mean without one."""
        return (self.mean if self.low is None else self.low), (self.mean if self.high is None else self.high)


def forest_figure(source: ReportSource) -> Figure | None:
    """Draw the figure; None if no rule is compared with a constant. Must be called inside `drawing.style`."""
    confirmed = source.confirmed
    rows = _searched(source) if confirmed is None else _confirmed(confirmed)
    if not rows:
        return None
    shown, scale, part = rows[:_MOST_RULES], source.scale, "validation" if confirmed is None else "test"
    worth = None if confirmed is None else confirmed.record.margin
    limits = _limits(shown, worth)
    figure, axes = new_lines(len(shown), top=22)
    difference_axis(axes.xaxis, *limits, scale)
    unit = "points" if scale.is_accuracy else "more is better"
    axes.set_xlabel(f"difference of {part} {scale.objective.name}, {unit}")
    strokes(axes, 0.0, len(shown))
    name_above(axes, 0.0, "best constant", limits)
    if worth is not None:
        strokes(axes, worth, len(shown), DOTTED)
    for place, row in enumerate(shown):
        _plot_points(axes, place + POINTS, row, limits)
        label_line(axes, place, row.label, _figures(row, scale))
    label = f"the smallest gain that is worth a rule ({scale.margin(worth)})"
    return finish(
        figure,
        name="forest",
        title="Does a rule beat the best constant λ?",
        caption=" ".join(filter(None, (_caption(source), _left_out(rows, shown, limits)))),
        finding=_finding(source, rows),
        legend=() if worth is None else (LegendItem(label=label, colour=INK, dashed=True),),
        table=_searched_table(source) if confirmed is None else _table(confirmed),
    )


def _confirmed(confirmed: Confirmed) -> list[GainRow]:
    """Return the rules, the winner or the nearest one first, then by their gains."""
    tested = [
        (row.key, row, row.difference)
        for row in confirmed.comparison.rows
        if row.role == "rule" and row.difference is not None
    ]
    tested.sort(key=lambda found: (found[0] != confirmed.rival, -found[2].mean))
    is_rule = confirmed.verdict.kind == "rule"
    return [
        _row(
            title(confirmed.record, key),
            row.family,
            test,
            stands=is_rule and row.claim is not None and row.claim.stands,
        )
        for key, row, test in tested
    ]


def _searched(source: ReportSource) -> list[GainRow]:
    return [
        _row(family_title(difference.family), difference.family, difference, stands=False)
        for difference in source.judgement.comparison.differences
    ]


def _row(label: str, family: str, test: PairedTest | PairedDifference, *, stands: bool) -> GainRow:
    low, high = (None, None) if test.too_few_seeds else (test.low, test.high)
    return GainRow(label, family, test.mean, low, high, stands)


def _limits(rows: list[GainRow], worth: float | None) -> tuple[float, float]:
    """Return limits with all of the right side, but on the left only what shows how the good ones differ."""
    high = max(*(row.ends[1] for row in rows), worth or 0.0, 0.0)
    halves = [(row.ends[1] - row.ends[0]) / 2 for row in rows]
    reach = max(high, 4 * statistics.median(halves), 1e-9)
    low = max(min(row.ends[0] for row in rows), -1.6 * reach)
    margin = 0.06 * (high - min(low, 0.0)) or 0.01
    return min(low, 0.0) - margin, high + margin


def _plot_points(axes: Any, at: float, row: GainRow, limits: tuple[float, float]) -> None:
    low, high = limits
    colour = family_colour(row.family)
    begin, end = row.ends
    axes.hlines([at], max(begin, low), min(max(end, low), high), color=colour, linewidth=2.0, zorder=3)
    if begin < low:
        axes.plot(low, at, "<", markersize=5, color=colour, markeredgewidth=0, clip_on=False, zorder=4)
    if row.mean >= low:
        face = colour if row.stands else PAGE
        axes.plot(row.mean, at, "D", markersize=6, color=colour, markeredgewidth=1.6, markerfacecolor=face, zorder=4)


def _figures(row: GainRow, scale: Scale) -> str:
    mean = scale.difference(row.mean)
    return mean if row.low is None or row.high is None else f"{mean} ({scale.interval(row.low, row.high)})"


def _finding(source: ReportSource, rows: list[GainRow]) -> str:
    first, scale = rows[0], source.scale
    winners = [row.label for row in rows if row.stands]
    if winners:
        verb = "beats" if len(winners) == 1 else "beat"
        names = sentence_case(", ".join(winners))
        return f"{names} {verb} it beyond the noise; {first.label} by {_figures(first, scale)}."
    if source.confirmed is not None:
        return f"None is shown to. The nearest, {first.label}, stands at {_figures(first, scale)}."
    return f"Not known before a confirmation. In the search, {first.label} stands at {_figures(first, scale)}."


def _caption(source: ReportSource) -> str:
    if source.confirmed is not None:
        seeds = count(len(source.confirmed.record.seeds), "fresh seed")
        return (
            f"A diamond is the mean difference over {seeds}, paired by seed, with its 95 % interval. A filled one beats"
            " the constants after Holm's correction for the number of rules."
        )
    return (
        "A diamond is the best trial of a family, less the best constant: the mean difference, paired by seed, with its"
        " uncorrected 95 % interval where the seeds can tell one. The best of many trials is partly luck."
    )


def _left_out(rows: list[GainRow], shown: list[GainRow], limits: tuple[float, float]) -> str:
    cut = "An arrow means that the interval continues to the left." if any(r.ends[0] < limits[0] for r in shown) else ""
    fewer = f"{count(len(rows) - len(shown), 'more rule')} stand in the tables below." if len(rows) > len(shown) else ""
    return f"{cut} {fewer}".strip()


def _searched_table(source: ReportSource) -> Table:
    return Table(
        ("family", "trial", "difference", "low", "high", "seeds"),
        tuple(
            (found.family, found.number, found.mean, found.low, found.high, len(found.seeds))
            for found in source.judgement.comparison.differences
        ),
    )


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
