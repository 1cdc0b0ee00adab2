"""Makes the parts of which the answers in a terminal consist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from search.evidence import BestTrial, FrontPoint, PairedDifference
from search.wording import Scale, count

MEDIUM, WIDE = 72, 100
"""The columns of a terminal that is wide enough for more of a table's columns."""
_MOST_FAILED = 5


class Column(NamedTuple):
    """A column of a table: its heading, and its cells from top to bottom."""

    heading: str
    cells: Sequence[str]
    right: bool = True
    wraps: bool = False


def plain_table(columns: Sequence[Column], bold: Iterable[bool]) -> Table:
    """Return a table without lines; `bold` says which rows stand out.

    All cells are text, not markup: a name is data.
    """
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(Text(column.heading), justify="right" if column.right else "left", no_wrap=not column.wraps)
    for cells, stands_out in zip(zip(*(column.cells for column in columns), strict=True), bold, strict=True):
        table.add_row(*map(Text, cells), style="bold" if stands_out else "")
    return table


def indented(text: str) -> Padding:
    """Return a text that is moved to the right by two letters."""
    return Padding(Text(text), (0, 0, 0, 2))


def verdict_lines(headline: str, *rest: str) -> list[RenderableType]:
    """Return a verdict's headline, and what it rests on."""
    found = " ".join(part for part in rest if part)
    return [Text(headline, style="bold"), *([Text(found)] if found else [])]


def failures(noun: str, reasons: Sequence[str]) -> list[RenderableType]:
    """Return how many have failed, and why the first of them did; empty if none has."""
    if not reasons:
        return []
    lines = list(reasons[:_MOST_FAILED])
    if len(reasons) > _MOST_FAILED:
        lines.append(f"and {len(reasons) - _MOST_FAILED:,} more")
    return [Text(), Text(f"{count(len(reasons), noun)} failed:"), *map(indented, lines)]


def score_cell(scale: Scale, scored: BestTrial | FrontPoint) -> str:
    """Return a score with its standard deviation over the seeds."""
    return f"{scale.value(scored.score)} {scale.spread(scored.spread)}".rstrip()


def difference_cell(scale: Scale, difference: PairedDifference | None) -> str:
    """Return a difference to the best constant with its standard error."""
    if difference is None:
        return "–"
    return f"{scale.difference(difference.mean)} {scale.spread(difference.standard_error)}".rstrip()
