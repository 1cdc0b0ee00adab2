"""Holds the numbers behind a figure or a table of the report, and writes them as CSV."""

from __future__ import annotations

import csv
import dataclasses
import io

Cell = str | int | float | bool | None


@dataclasses.dataclass(frozen=True)
class Table:
    """Unrounded numbers in the units that their columns name; None for a missing value."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows)

    def to_csv(self) -> str:
        """Return the table as CSV with a line of headings; None becomes an empty cell."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return out.getvalue()
