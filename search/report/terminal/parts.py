"""Makes the parts of which the answers in a terminal consist."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from search.evidence import BestTrial, FrontPoint, PairedDifference
from search.report.terminal.fitted import Column, FittedTable
from search.wording import Scale, count

_MOST_FAILED = 5


def plain_table(columns: Sequence[Column], bold: Iterable[bool]) -> FittedTable:
    """Return a table whose bold rows stand out; what has no room in it is on the page."""
    return FittedTable(columns, ["bold" if stands_out else "" for stands_out in bold])


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
