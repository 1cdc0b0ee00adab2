"""Renders a confirmation's answer in a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from search.confirm import Unit
from search.evidence import Comparison, Judgement, PairedTest, interval_cell, title
from search.records import ConfirmationRecord
from search.wording import Scale, count

_MOST_FAILED = 5


def render_confirmation(record: ConfirmationRecord, failed: Mapping[Unit, str], judgement: Judgement) -> RenderableType:
    """Return the verdict, a row for each finalist in the order of their test scores, and what failed.

    Args:
        record: finished or not; the rows are shown only if it is complete.
        failed: what went wrong, for the trainings that failed.
        judgement: the judgement of the search and this record.
    """
    verdict, finalists = judgement.verdict, judgement.finalists
    assert verdict is not None  # the judgement is of this record
    assert finalists is not None
    parts: list[RenderableType] = [Text(judgement.worth.text, style="bold")] if judgement.is_confirmed else []
    parts.append(Text(verdict.headline, style="bold"))
    rest = " ".join(part for part in (verdict.evidence, verdict.caveat) if part)
    if rest:
        parts.append(Text(rest))
    if record.complete:
        parts += [Text(), _table(record, finalists, verdict.winner)]
    if failed:
        parts += [Text(), Text(f"{count(len(failed), 'training')} failed:")]
        lines = [f"{unit.finalist}, seed {unit.seed}: {reason}" for unit, reason in list(failed.items())[:_MOST_FAILED]]
        if len(failed) > _MOST_FAILED:
            lines.append(f"and {len(failed) - _MOST_FAILED:,} more")
        parts += [Padding(Text(line), (0, 0, 0, 2)) for line in lines]
    return Group(*parts)


def _table(record: ConfirmationRecord, comparison: Comparison, winner: str | None) -> Table:
    scale = Scale(record.objective)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("finalist")  # the only one that wraps in a narrow terminal
    interval = "95 % (seeds only)" if comparison.seeds_only else "95 % interval"
    for heading in ("validation", "test", "vs constant", interval):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in sorted(comparison.rows, key=lambda row: -(row.test if row.test is not None else float("-inf"))):
        versus = ("best constant", "") if row.key == comparison.baseline else _versus(scale, row.difference)
        cells = title(record, row.key), scale.value(row.validation), scale.value(row.test), *versus
        table.add_row(*map(Text, cells), style="bold" if row.key == winner else "")
    return table


def _versus(scale: Scale, test: PairedTest | None) -> tuple[str, str]:
    if test is None:
        return "–", "–"
    return scale.difference(test.mean), interval_cell(scale, test)
