"""Renders the user's own KPIs in a terminal; the page shows them among all others."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text

from search.evidence import ReportSource
from search.report.tables.kpis import KPIRow, kpi_table, shown, shown_spread
from search.report.terminal.fitted import Column
from search.report.terminal.parts import plain_table
from search.wording import count


def render_own_kpis(source: ReportSource) -> list[RenderableType]:
    """Return a row for each KPI of the user's, a column for each of the page's students; empty if there is no KPI."""
    found = kpi_table(source)
    if found is None or not found.own:
        return []
    seeds = f"mean over {count(found.seeds, 'seed')}" + (" ± standard deviation" if found.seeds > 1 else "")
    columns = [Column("KPI", [row.label for row in found.own], right=False, wraps=True)]
    for place, column in enumerate(found.columns):
        # A search measures only its students; a column without any value is left out.
        if any(row.values[place].mean is not None for row in found.own):
            cells = [_cell(row, place) for row in found.own]
            columns.append(Column(f"{column.label.lower()}\n{column.who}", cells))
    table = plain_table(columns, [False] * len(found.own))
    return [Text(), Text(f"Your KPIs on the {found.on} set, {seeds}:"), table]


def _cell(row: KPIRow, place: int) -> str:
    value = row.values[place]
    return f"{shown(value, row.unit)} {shown_spread(value, row.unit)}".strip() or "–"
