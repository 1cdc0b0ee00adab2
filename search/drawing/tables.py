"""The numbers behind a figure or a table of the report, as CSV."""

from __future__ import annotations

import csv
import dataclasses
import io

Cell = str | int | float | bool | None


@dataclasses.dataclass(frozen=True)
class Table:
    """Numbers in full, in the units that their columns name; None where there is nothing."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rows)

    def to_csv(self) -> str:
        """With a line of headings; None is empty."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return out.getvalue()
