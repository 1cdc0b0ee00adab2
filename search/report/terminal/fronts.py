"""Renders what a better score costs, and several students side by side, in a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from search.evidence import Front, ReportSource, fronts, interval_cell
from search.records import SearchRecord
from search.report.terminal.parts import MEDIUM, Column, difference_cell, plain_table, score_cell
from search.settings import COST_TITLES
from search.wording import Scale, family_title

_WIDE = 90


def render_fronts(search: SearchRecord, width: int) -> list[RenderableType]:
    """Return a table for each front, cheapest point first; empty if no cost differs."""
    parts: list[RenderableType] = []
    for front in fronts(search):
        scale = Scale(search.objective)
        parts += [Text(), Text(_heading(front, scale), style="bold"), _table(front, scale, width)]
    return parts


def render_students(source: ReportSource, width: int) -> list[RenderableType]:
    """Return a row for each student; empty if there is only one."""
    rows, scale = source.judgement.students, source.scale
    if not rows:
        return []
    columns = [
        Column("student", [row.name for row in rows], right=False),
        Column("parameters", ["–" if row.size is None else f"{row.size.parameters:,}" for row in rows]),
    ]
    if width >= MEDIUM:
        columns.append(Column("FLOPs", ["–" if row.size is None else f"{row.size.flops:,}" for row in rows]))
    columns += [
        Column(f"best {scale.title}", [scale.value(row.best.score) if row.best else "–" for row in rows]),
        Column("best constant", [scale.value(row.constant.score) if row.constant else "–" for row in rows]),
    ]
    if width >= MEDIUM:
        columns.append(Column("best rule vs constant", [difference_cell(scale, row.difference) for row in rows]))
    table = plain_table(columns, [row.name == source.judgement.student for row in rows])
    return [Text(), Text("Students, each with its own rules and constants (the above is about the bold one):"), table]


def _heading(front: Front, scale: Scale) -> str:
    costs = " and ".join(COST_TITLES[cost] for cost in front.costs)
    if len(front.points) == 1:
        return f"One trial is best in {scale.title} and {costs}:"
    return f"The best {scale.title} for the {costs}:"


def _table(front: Front, scale: Scale, width: int) -> Table:
    points = front.points
    gains = [point.gain for point in points]
    several = len({point.student for point in points}) > 1
    columns = [
        Column("numbers" if cost == "complexity" else cost, [f"{point.costs[cost]:,}" for point in points])
        for cost in front.costs
    ]
    columns.append(Column(scale.title, [score_cell(scale, point) for point in points]))
    if len(front.costs) == 1 and len(points) > 1:
        columns.append(Column("gain", ["" if gain is None else scale.difference(gain.mean) for gain in gains]))
        if width >= (_WIDE if several else MEDIUM):
            intervals = ["" if gain is None else interval_cell(scale, gain, "not known") for gain in gains]
            columns.append(Column("95 % interval", intervals, right=False))
    columns.append(Column("trial", [str(point.number) for point in points]))
    if several:
        columns.append(Column("student", [point.student for point in points], right=False))
    columns.append(Column("family", [family_title(point.family) for point in points], right=False))
    return plain_table(columns, [point.knee for point in points])
