"""Holds the numbers behind a figure or a table of the report, and writes them as CSV."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Self

import pydantic

if TYPE_CHECKING:
    import pandas

Cell = str | int | float | bool | None


@dataclasses.dataclass(frozen=True)
class Table:
    """Unrounded numbers in the units that their columns name; None for a missing value."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Cell, ...], ...] = ()

    @classmethod
    def of(cls, kind: type[pydantic.BaseModel], rows: Iterable[pydantic.BaseModel]) -> Self:
        """Return a table of objects of one kind, with a column for each of its fields."""
        names = tuple(kind.model_fields)
        return cls(names, tuple(tuple(getattr(row, name) for name in names) for row in rows))

    def __bool__(self) -> bool:
        return bool(self.rows)

    def to_frame(self) -> pandas.DataFrame:
        """Return the table as a pandas frame; None becomes a missing value."""
        import pandas

        return pandas.DataFrame(list(self.rows), columns=list(self.columns))

    def to_csv(self) -> str:
        """Return the table as CSV with a line of headings; None becomes an empty cell."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows(self.rows)
        return out.getvalue()
