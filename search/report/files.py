"""Writes a search's report as files: the page, its figures, its numbers, and the policies to use."""

from __future__ import annotations

import datetime
import json
import pathlib
from typing import TYPE_CHECKING

from policies.families import FAMILIES
from search.drawing import Table
from search.evidence import Gain, Judgement, ReportSource, importances
from search.report.document import report_json, report_text
from search.report.tables.costs import Cost, costs
from search.report.tables.finalists import finalist_numbers, ranked_finalists, seed_numbers
from search.report.tables.guard import guard_numbers, guard_table
from search.report.tables.kpis import kpi_numbers, kpi_table
from search.report.tables.transfer import transfer_numbers
from search.report.tables.trials import family_numbers, trial_numbers
from search.store import replace_file

if TYPE_CHECKING:
    from search.report.figures.groups import FigureGroup

FIGURES, DATA = "figures", "data"
_RULE = "policy.json"
_OWN = {FIGURES: (".png", ".svg"), DATA: (".csv",)}
"""The suffixes of the report's files in these folders. Such files are removed if the new report does not have them."""


def write_report(source: ReportSource, folder: pathlib.Path) -> pathlib.Path:
    """Write the report.

    The files are `report.html` and `report.json`; `figures/<name>.png` and `.svg`; `data/<name>.csv` with the numbers
    behind each figure and behind the tables; `policy.json` (what the verdict recommends) and `policies/<family>.json`.

    Each file is replaced as a whole, so a reader never sees half of one. The next report overwrites that of an
    unfinished search.

    Returns:
        The path of `report.html`.

    Raises:
        SearchError: a file cannot be written.
    """
    from search.report.figures.groups import figure_groups
    from search.report.page import render_html

    computed = importances(source.search)
    groups = figure_groups(source, computed)
    contents = {
        name: (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
        for name, document in _policies(source.judgement).items()
    }
    contents |= _drawn(groups)
    contents |= {
        f"{DATA}/{name}.csv": table.to_csv().encode() for name, table in report_tables(source).items() if table
    }
    contents["report.json"] = report_text(report_json(source, computed=computed)).encode()
    created = datetime.datetime.now(datetime.UTC)
    contents["report.html"] = render_html(source, groups, created=created).encode()
    for name, content in contents.items():
        replace_file(folder / name, content, what="the report's")
    if _RULE not in contents:
        (folder / _RULE).unlink(missing_ok=True)  # an earlier report recommended a rule
    _remove_others(folder, set(contents))
    return folder / "report.html"


def report_tables(source: ReportSource) -> dict[str, Table]:
    """Return the numbers of the page's tables by name; those behind figures are the figures' own."""
    kpis, confirmed = kpi_table(source), source.confirmed
    found = {
        "trials": trial_numbers(source.search),
        "families": family_numbers(source.judgement.families),
        "gains": Table.of(Gain, source.judgement.gains),
        "kpis": kpi_numbers(kpis) if kpis else Table(),
        "costs": Table.of(Cost, costs(source)),
        "guard": guard_numbers(guard_table(source)),
    }
    for transferred in source.transferred:
        found[f"transfer-{transferred.name}"] = transfer_numbers(transferred)
    if confirmed is not None:
        found["finalists"] = finalist_numbers(ranked_finalists(confirmed))
        found["finalists-by-seed"] = seed_numbers(confirmed)
    return found


def _policies(judgement: Judgement) -> dict[str, dict[str, object]]:
    """Return contents by file. A family becomes a file name, so only known families are written."""
    found, recommended = {}, judgement.recommended
    for family, policy in judgement.best_of_families.items():
        if policy.document and family in FAMILIES:
            found[f"policies/{family}.json"] = policy.document
    if recommended is not None and recommended.document and recommended.family in FAMILIES:
        found[_RULE] = recommended.document
    return found


def _drawn(groups: tuple[FigureGroup, ...]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    for figure in (figure for group in groups for figure in group.figures):
        contents |= {f"{FIGURES}/{figure.name}.{suffix}": content for suffix, content in figure.files.items()}
        if figure.table:
            contents[f"{DATA}/{figure.name}.csv"] = figure.table.to_csv().encode()
    return contents


def _remove_others(folder: pathlib.Path, kept: set[str]) -> None:
    for place, suffixes in _OWN.items():
        for path in (folder / place).glob("*"):
            if path.suffix in suffixes and f"{place}/{path.name}" not in kept:
                path.unlink(missing_ok=True)
