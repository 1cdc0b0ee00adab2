"""Renders in a terminal whether a pilot's choice holds at scale."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from search.confirm import Unit
from search.evidence import TransferFindings, interval_cell, transfer_headline, transfer_sentences
from search.report.terminal.fitted import Column
from search.report.terminal.parts import failures, plain_table, verdict_lines
from search.wording import Scale


def render_transfer(found: TransferFindings, failed: Mapping[Unit, str] | None = None) -> RenderableType:
    """Return the answer, a row for each finalist in the order of their scores at scale, and what failed.

    Args:
        found: the findings; the rows are shown only if all trainings have ended.
        failed: what went wrong, for the trainings that failed.
    """
    parts: list[RenderableType] = [*verdict_lines(transfer_headline(found))]
    parts += [Text(f"· {sentence}") for sentence in transfer_sentences(found)]
    if found.kind != "incomplete":
        parts += [Text(), _table(found)]
    if found.command:
        parts += [Text(), Text(f"  {found.command}", style="bold", no_wrap=True, overflow="ignore")]
    lines = [f"{unit.finalist}, seed {unit.seed}: {reason}" for unit, reason in (failed or {}).items()]
    return Group(*parts, *failures("training", lines))


def _table(found: TransferFindings) -> RenderableType:
    scale, rows = Scale(found.objective), found.rows
    columns = [
        Column("finalist", [row.title for row in rows], right=False, wraps=True),
        Column("pilot", [_place(row.pilot_rank) for row in rows], spare=3),
        Column("score in the pilot", [scale.value(row.pilot_score) for row in rows], spare=2),
        Column("at scale", [_place(row.rank) if row.of_pilot else "tuned" for row in rows], spare=4),
        Column("score at scale", [scale.value(row.score) for row in rows]),
        Column(
            "vs constant",
            ["baseline" if row.gain is None else scale.difference(row.gain.mean) for row in rows],
        ),
        Column("95 % interval", ["" if row.gain is None else interval_cell(scale, row.gain) for row in rows]),
        Column("tied to", [", ".join(dict.fromkeys(row.unlike.values())) or "–" for row in rows], spare=1),
    ]
    return plain_table(columns, [row.key == found.take for row in rows])


def _place(rank: int | None) -> str:
    return "–" if rank is None else str(rank)
