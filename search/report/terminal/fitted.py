"""Makes tables that fit every terminal: words wrap, columns give way on purpose, and nothing is cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_GAP = 2
"""Blanks between two columns."""
_LEAST_WORDS = 16
"""The narrowest that a column of words becomes while another column could be left out instead."""
_LONGEST_WORD = 24
"""A longer word, such as a path, is broken."""


class Column(NamedTuple):
    """A column of a table: its heading, and its cells from top to bottom."""

    heading: str
    cells: Sequence[str]
    right: bool = True
    wraps: bool = False
    """True for words, which may take several lines; numbers stay on one."""
    spare: int = 0
    """The column with the highest number is left out first if there is no room; those with 0 always stay."""


class FittedTable:
    """A table without lines that is never wider than its terminal; it names the columns that it has left out.

    All cells are text, not markup: a name is data.

    Args:
        columns: at least one.
        styles: the style of each row, such as `bold`; empty for a plain one.
        title: stands above the table, if it is given.
        elsewhere: says where the columns that were left out are, such as `on the page`.
    """

    def __init__(
        self, columns: Sequence[Column], styles: Iterable[str], *, title: str = "", elsewhere: str = "on the page"
    ) -> None:
        self._columns, self._styles, self._title, self._elsewhere = tuple(columns), tuple(styles), title, elsewhere

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield title, table, and the line that names what was left out."""
        shown = self._fitting(options.max_width)
        if self._title:
            yield Text(self._title, style="bold")
        yield self._table(shown, options.max_width)
        left_out = [" ".join(column.heading.split()) for column in self._columns if column not in shown]
        if left_out:
            yield Text(f"In a wider terminal and {self._elsewhere}: {', '.join(left_out)}.", style="dim")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the width that the table takes."""
        shown = self._fitting(options.max_width)
        return Measurement(1, min(options.max_width, _total(_widths(shown, options.max_width))))

    def _fitting(self, width: int) -> list[Column]:
        shown = list(self._columns)
        while _total([_least(column) for column in shown]) > width and any(column.spare for column in shown):
            shown.remove(max(shown, key=lambda column: column.spare))
        return shown

    def _table(self, shown: Sequence[Column], width: int) -> Table:
        table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="bold", pad_edge=False)
        for column, columns_width in zip(shown, _widths(shown, width), strict=True):
            table.add_column(
                Text(column.heading),
                justify="right" if column.right else "left",
                width=columns_width,
                overflow="fold",
            )
        for cells, style in zip(zip(*(column.cells for column in shown), strict=True), self._styles, strict=True):
            table.add_row(*map(Text, cells), style=style)
        return table


def _widths(columns: Sequence[Column], width: int) -> list[int]:
    """Share the width: each column has its least, and the rest goes to those that would take the most lines."""
    widths, wanted = [_least(column) for column in columns], [_whole(column) for column in columns]
    for _ in range(width - _total(widths)):
        place = max(range(len(columns)), key=lambda place: wanted[place] / widths[place])
        widths[place] += int(wanted[place] > widths[place])
    # A terminal in which even the least has no room: words are broken before numbers.
    for place in sorted(range(len(columns)), key=lambda place: (not columns[place].wraps, -widths[place])):
        widths[place] = max(1, widths[place] - max(0, _total(widths) - width))
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _least(column: Column) -> int:
    """Return the width below which numbers would wrap, or words become a tall narrow stack."""
    of_heading, of_cells = (
        max((cell_len(word) for text in texts for word in text.split()), default=1)
        for texts in ((column.heading,), column.cells)
    )
    if column.wraps:
        return min(_whole(column), max(_LEAST_WORDS, min(_LONGEST_WORD, max(of_heading, of_cells))))
    return max(_of_cells(column), min(_LEAST_WORDS, of_heading))


def _of_cells(column: Column) -> int:
    return max((cell_len(line) for cell in column.cells for line in cell.splitlines()), default=1)


def _whole(column: Column) -> int:
    return max(_of_cells(column), max((cell_len(line) for line in column.heading.splitlines()), default=1))
