"""Renders what a better score costs, and several students side by side, in a terminal."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from search.evidence import Front, FrontPoint, ReportSource, StudentRow, fronts, interval_cell
from search.records import SearchRecord
from search.settings import COST_TITLES
from search.wording import Scale, family_title

_MEDIUM, _WIDE = 72, 90


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
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("student", no_wrap=True)
    table.add_column("parameters", justify="right", no_wrap=True)
    if width >= _MEDIUM:
        table.add_column("FLOPs", justify="right", no_wrap=True)
    table.add_column(Text(f"best {scale.title}"), justify="right", no_wrap=True)
    table.add_column("best constant", justify="right", no_wrap=True)
    if width >= _MEDIUM:
        table.add_column("best rule vs constant", justify="right", no_wrap=True)
    for row in rows:
        sizes = ["–", "–"] if row.size is None else [f"{row.size.parameters:,}", f"{row.size.flops:,}"]
        cells = [row.name, *sizes[: 2 if width >= _MEDIUM else 1]]
        cells += [scale.value(found.score) if found else "–" for found in (row.best, row.constant)]
        if width >= _MEDIUM:
            cells.append(_difference(row, scale))
        # Text, not markup: a name is data.
        about = row.name == source.judgement.student
        table.add_row(*(Text(cell) for cell in cells), style="bold" if about else "")
    return [Text(), Text("Students, each with its own rules and constants (the above is about the bold one):"), table]


def _difference(row: StudentRow, scale: Scale) -> str:
    if row.difference is None:
        return "–"
    return f"{scale.difference(row.difference.mean)} {scale.spread(row.difference.standard_error)}".rstrip()


def _heading(front: Front, scale: Scale) -> str:
    costs = " and ".join(COST_TITLES[cost] for cost in front.costs)
    if len(front.points) == 1:
        return f"One trial is best in {scale.title} and {costs}:"
    return f"The best {scale.title} for the {costs}:"


def _table(front: Front, scale: Scale, width: int) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for cost in front.costs:
        table.add_column("numbers" if cost == "complexity" else cost, justify="right", no_wrap=True)
    table.add_column(Text(scale.title), justify="right", no_wrap=True)
    stepwise = len(front.costs) == 1 and len(front.points) > 1
    several = len({point.student for point in front.points}) > 1
    with_interval = stepwise and width >= (_WIDE if several else _MEDIUM)
    if stepwise:
        table.add_column("gain", justify="right", no_wrap=True)
    if with_interval:
        table.add_column("95 % interval", no_wrap=True)
    table.add_column("trial", justify="right", no_wrap=True)
    if several:
        table.add_column("student", no_wrap=True)
    table.add_column("family", no_wrap=True)
    for point in front.points:
        cells = [f"{point.costs[cost]:,}" for cost in front.costs]
        cells.append(f"{scale.value(point.score)} {scale.spread(point.spread)}".rstrip())
        if stepwise:
            cells.append("" if point.gain is None else scale.difference(point.gain.mean))
        if with_interval:
            cells.append(_interval(point, scale))
        cells += [str(point.number), *([point.student] if several else []), family_title(point.family)]
        table.add_row(*(Text(cell) for cell in cells), style="bold" if point.knee else "")
    return table


def _interval(point: FrontPoint, scale: Scale) -> str:
    if point.gain is None:
        return ""
    return interval_cell(scale, point.gain, "not known")
