"""Renders the user's own KPIs in a terminal; the page shows them among all others."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from search.evidence import ReportSource
from search.report.tables.kpis import KPIRow, KPITable, kpi_table, shown, shown_spread
from search.wording import count


def render_own_kpis(source: ReportSource) -> list[RenderableType]:
    """Return a row for each KPI of the user's, a column for each of the page's students; empty if there is no KPI."""
    found = kpi_table(source)
    if found is None or not found.own:
        return []
    seeds = f"mean over {count(found.seeds, 'seed')}" + (" ± standard deviation" if found.seeds > 1 else "")
    return [Text(), Text(f"Your KPIs on the {found.on} pictures, {seeds}:"), _table(found)]


def _table(found: KPITable) -> Table:
    # A search measures only its students; a column without any value is left out.
    places = [
        place for place in range(len(found.columns)) if any(row.values[place].mean is not None for row in found.own)
    ]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("KPI")
    for place in places:
        column = found.columns[place]
        table.add_column(Text(f"{column.label.lower()}\n{column.who}"), justify="right")
    for row in found.own:
        table.add_row(Text(row.label), *(Text(_cell(row, place)) for place in places))
    return table


def _cell(row: KPIRow, place: int) -> str:
    value = row.values[place]
    return f"{shown(value, row.unit)} {shown_spread(value, row.unit)}".strip() or "–"
