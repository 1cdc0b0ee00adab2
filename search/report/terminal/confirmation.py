"""Renders a confirmation's answer in a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from search.confirm import Unit
from search.evidence import Comparison, ConfirmedVerdict, Judgement, PairedTest, interval_cell, title
from search.records import ConfirmationRecord
from search.report.terminal.fitted import Column, FittedTable
from search.report.terminal.parts import failures, plain_table, verdict_lines
from search.wording import Scale


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
    parts += verdict_lines(verdict.headline, verdict.evidence, verdict.caveat)
    if record.complete:
        parts += [Text(), _table(record, finalists, verdict)]
    lines = [f"{unit.finalist}, seed {unit.seed}: {reason}" for unit, reason in failed.items()]
    return Group(*parts, *failures("training", lines))


def _table(record: ConfirmationRecord, comparison: Comparison, verdict: ConfirmedVerdict) -> FittedTable:
    scale = Scale(record.objective)
    rows = sorted(comparison.rows, key=lambda row: -(row.test if row.test is not None else float("-inf")))
    versus = [
        ("best constant", "") if row.key == comparison.baseline else _versus(scale, row.difference) for row in rows
    ]
    columns = [
        Column("finalist", [title(record, row.key) for row in rows], right=False, wraps=True),
        Column("validation", [scale.value(row.validation) for row in rows], spare=1),
        Column("test", [scale.value(row.test) for row in rows]),
        Column("vs constant", [difference for difference, _ in versus]),
        Column("95 % (seeds only)" if comparison.seeds_only else "95 % interval", [interval for _, interval in versus]),
    ]
    gating = verdict.gating
    if gating is not None:
        broken = [", ".join(check.name for check in gating.of(row.key).broken) for row in rows]
        columns.append(Column("breaks", [names or "–" for names in broken], right=False, wraps=True))
    return plain_table(columns, [row.key == verdict.champion for row in rows])


def _versus(scale: Scale, test: PairedTest | None) -> tuple[str, str]:
    if test is None:
        return "–", "–"
    return scale.difference(test.mean), interval_cell(scale, test)
