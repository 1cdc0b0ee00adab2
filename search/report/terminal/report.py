"""Renders the search's answer in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from search.evidence import ConstantComparison, FamilyRank, Judgement, ReportSource, importances, settings_in_words
from search.records import SearchRecord
from search.report.terminal.confirmation import render_confirmation
from search.report.terminal.fitted import Column, FittedTable
from search.report.terminal.fronts import render_fronts, render_students
from search.report.terminal.kpis import render_own_kpis
from search.report.terminal.parts import (
    difference_cell,
    failures,
    indented,
    plain_table,
    score_cell,
    verdict_lines,
)
from search.report.terminal.transfer import render_transfer
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, family_title, setting_title


def render_report(source: ReportSource, *, with_remedy: bool = True) -> RenderableType:
    """Return the confirmation, if it has an answer, with the rule to train with; then the search.

    Print it with `crop=False`: a command that is longer than a line is then not cut.

    Args:
        source: the data of the report.
        with_remedy: say what to type next, if there is something to do.
    """
    judgement = source.judgement
    table = render_table(source.judged, judgement)
    if source.confirmation is None or not judgement.is_confirmed:
        shown = Group(table, *render_own_kpis(source), *_students_and_fronts(source))
        if not (source.command and with_remedy):
            return shown
        # One line, so that it can be copied as a whole.
        command = Text(f"  {source.command}", style="bold", no_wrap=True, overflow="ignore")
        return Group(shown, Text(), Text(judgement.answer.remedy), command)
    recommended = judgement.recommended
    parts: list[RenderableType] = [render_confirmation(source.confirmation, {}, judgement)]
    if recommended is not None:
        found = settings_in_words(recommended)
        heading = f"Train with {recommended.title}" + (f" ({found}):" if found else ":")
        parts += [Text(), Text(heading), indented(recommended.rule)]
    parts += render_own_kpis(source)
    parts += [Text(), Text("The search that led to it:"), Text(), table]
    return Group(*parts, *_students_and_fronts(source))


def _students_and_fronts(source: ReportSource) -> list[RenderableType]:
    transfers: list[RenderableType] = []
    for found in source.transferred:
        transfers += [Text(), Text(f"At full size ({found.name}):"), render_transfer(found)]
    return [*transfers, *render_students(source), *render_fronts(source.search), *_importances(source)]


def _importances(source: ReportSource) -> list[RenderableType]:
    """Return a sentence on all trials together, and one on each family in which one setting stands out."""
    found = [item for item in importances(source.search) if item.clear or (item.family is None and item.shares)]
    return [Text(), *(Text(item.sentence) for item in found)] if found else []


def render_table(search: SearchRecord, judgement: Judgement) -> RenderableType:
    """Return the search's own verdict, the ranked families and the best rule.

    Beside a confirmation, whose gains are the ones that count, there is neither the search's verdict nor its gains.
    """
    verdict, families = judgement.search_verdict, judgement.families
    parts: list[RenderableType] = []
    if not judgement.is_confirmed:
        if search.finished:
            parts.append(Text(judgement.worth.text, style="bold"))
        parts += verdict_lines(verdict.headline, verdict.evidence, verdict.caveat)
    elif verdict.caveat:
        parts.append(Text(verdict.caveat))
    if judgement.remarks:
        parts += [Text(), *(Text(f"· {remark.sentence}") for remark in judgement.remarks)]
    if families:
        parts += [Text(), _families_table(judgement)]
    if families and families[0].best is not None:
        best = families[0].best
        settings = ", ".join(f"{setting_title(name)} {value:.3g}" for name, value in best.shared.items())
        found = f"trial {best.number}" + (f", {settings}" if settings else "")
        parts += [Text(), Text(f"Best rule ({found}):"), indented(best.rule)]
    failed = [trial for trial in search.trials if trial.status == "failed"]
    reasons = [f"trial {trial.number} ({trial.family}): {trial.error or 'no message'}" for trial in failed]
    return Group(*parts, *failures("trial", reasons))


def _families_table(judgement: Judgement) -> FittedTable:
    families, comparison, scale = judgement.families, judgement.comparison, Scale(judgement.objective)
    bests = [family.best for family in families]
    raced, failed = any(family.eliminated for family in families), any(family.failed for family in families)
    columns = [
        Column("", ["–" if family.rank is None else str(family.rank) for family in families]),
        Column("family", [family_title(family.family) for family in families], right=False, wraps=True),
        Column(scale.title, [score_cell(scale, best) if best else "–" for best in bests]),
        Column("vs constant", [_versus(family, comparison, scale) for family in families], spare=1),
        Column("median", [scale.value(family.median) for family in families], spare=4),
        Column("numbers", [str(best.complexity) if best else "–" for best in bests], spare=5),
        Column("all seeds" if raced else "trials", [str(family.finished) for family in families], spare=3),
        Column("left the race", [str(family.eliminated) for family in families], spare=3),
        Column("failed", [str(family.failed) for family in families], spare=2),
    ]
    without = {"vs constant": judgement.is_confirmed, "left the race": not raced, "failed": not failed}
    shown = [column for column in columns if not without.get(column.heading, False)]
    return plain_table(shown, [family.rank == 1 for family in families])


def _versus(family: FamilyRank, comparison: ConstantComparison, scale: Scale) -> str:
    if family.family == CONSTANT_FAMILY:
        return "baseline" if family.best else "–"
    return difference_cell(scale, comparison.of(family.family))
