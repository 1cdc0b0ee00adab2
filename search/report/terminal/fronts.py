"""Renders what a better score costs, and several students side by side, in a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from search.evidence import Front, ReportSource, fronts
from search.records import SearchRecord
from search.report.terminal.fitted import Column, FittedTable
from search.report.terminal.parts import difference_cell, plain_table, score_cell
from search.settings import COST_TITLES
from search.wording import Scale, family_title


def render_fronts(search: SearchRecord) -> list[RenderableType]:
    """Return a table for each front, cheapest point first; empty if no cost differs.

    What each step gains is on the page: it is no gain over the best constant.
    """
    parts: list[RenderableType] = []
    for front in fronts(search):
        scale = Scale(search.objective)
        costs = " and ".join(COST_TITLES[cost] for cost in front.costs)
        if len(front.points) == 1:
            point = front.points[0]
            parts += [
                Text(),
                Text(f"Trial {point.number} ({family_title(point.family)}) is best in {scale.title} and {costs}."),
            ]
        else:
            parts += [Text(), Text(f"The best {scale.title} for the {costs}:"), _table(front, scale)]
    return parts


def render_students(source: ReportSource) -> list[RenderableType]:
    """Return a row for each student; empty if there is only one."""
    rows, scale = source.judgement.students, source.scale
    if not rows:
        return []
    columns = [
        Column("student", [row.name for row in rows], right=False, wraps=True),
        Column("parameters", ["–" if row.size is None else f"{row.size.parameters:,}" for row in rows]),
        Column("FLOPs", ["–" if row.size is None else f"{row.size.flops:,}" for row in rows], spare=2),
        Column(f"best {scale.title}", [scale.value(row.best.score) if row.best else "–" for row in rows]),
        Column("best constant", [scale.value(row.constant.score) if row.constant else "–" for row in rows]),
    ]
    if not source.judgement.is_confirmed:
        versus = [difference_cell(scale, row.difference) for row in rows]
        columns.append(Column("best rule vs constant", versus, spare=1))
    table = plain_table(columns, [row.name == source.judgement.student for row in rows])
    return [Text(), Text("Students, each with its own rules and constants (the above is about the bold one):"), table]


def _table(front: Front, scale: Scale) -> FittedTable:
    points = front.points
    columns = [
        Column("numbers" if cost == "complexity" else cost, [f"{point.costs[cost]:,}" for point in points])
        for cost in front.costs
    ]
    columns.append(Column(scale.title, [score_cell(scale, point) for point in points]))
    columns.append(Column("trial", [str(point.number) for point in points]))
    if len({point.student for point in points}) > 1:
        columns.append(Column("student", [point.student for point in points], right=False, wraps=True))
    columns.append(Column("family", [family_title(point.family) for point in points], right=False, wraps=True))
    return plain_table(columns, [point.knee for point in points])
