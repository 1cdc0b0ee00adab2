"""Renders the search's answer in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from search.evidence import ConstantComparison, FamilyRank, Judgement, ReportSource, importances, settings_in_words
from search.records import SearchRecord
from search.report.terminal.confirmation import render_confirmation
from search.report.terminal.fronts import render_fronts, render_students
from search.report.terminal.kpis import render_own_kpis
from search.report.terminal.parts import (
    MEDIUM,
    WIDE,
    Column,
    difference_cell,
    failures,
    indented,
    plain_table,
    score_cell,
    verdict_lines,
)
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, family_title, setting_title


def render_report(source: ReportSource, width: int, *, with_remedy: bool = True) -> RenderableType:
    """Return the confirmation, if it has an answer, with the rule to train with; then the search.

    Print it with `crop=False`: a command that is longer than a line is then not cut.

    Args:
        source: the data of the report.
        width: of the terminal, in columns.
        with_remedy: say what to type next, if there is something to do.
    """
    judgement = source.judgement
    table = render_table(source.judged, judgement, width)
    if source.confirmation is None or not judgement.is_confirmed:
        shown = Group(table, *render_own_kpis(source), *_students_and_fronts(source, width))
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
    return Group(*parts, *_students_and_fronts(source, width))


def _students_and_fronts(source: ReportSource, width: int) -> list[RenderableType]:
    return [*render_students(source, width), *render_fronts(source.search, width), *_importances(source)]


def _importances(source: ReportSource) -> list[RenderableType]:
    """Return a sentence on all trials together, and one on each family in which one setting stands out."""
    found = [item for item in importances(source.search) if item.clear or (item.family is None and item.shares)]
    return [Text(), *(Text(item.sentence) for item in found)] if found else []


def render_table(search: SearchRecord, judgement: Judgement, width: int) -> RenderableType:
    """Return the search's own verdict, the ranked families and the best rule, for a terminal of `width` columns.

    Columns for which a narrow terminal has no room are left out rather than squeezed.
    """
    verdict, families = judgement.search_verdict, judgement.families
    parts: list[RenderableType] = []
    if not judgement.is_confirmed and search.finished:
        parts.append(Text(judgement.worth.text, style="bold"))
    parts += verdict_lines(verdict.headline, verdict.evidence, verdict.caveat)
    if judgement.remarks:
        parts += [Text(), *(Text(f"· {remark.sentence}") for remark in judgement.remarks)]
    if families:
        parts += [Text(), _families_table(families, judgement.comparison, Scale(judgement.objective), width)]
    if families and families[0].best is not None:
        best = families[0].best
        settings = ", ".join(f"{setting_title(name)} {value:.3g}" for name, value in best.shared.items())
        found = f"trial {best.number}" + (f", {settings}" if settings else "")
        parts += [Text(), Text(f"Best rule ({found}):"), indented(best.rule)]
    failed = [trial for trial in search.trials if trial.status == "failed"]
    reasons = [f"trial {trial.number} ({trial.family}): {trial.error or 'no message'}" for trial in failed]
    return Group(*parts, *failures("trial", reasons))


def _families_table(
    families: tuple[FamilyRank, ...], comparison: ConstantComparison, scale: Scale, width: int
) -> Table:
    bests = [family.best for family in families]
    columns = [
        Column("", ["–" if family.rank is None else str(family.rank) for family in families]),
        Column("family", [family_title(family.family) for family in families], right=False),
        Column(scale.title, [score_cell(scale, best) if best else "–" for best in bests]),
    ]
    if width >= MEDIUM:
        columns.append(Column("vs constant", [_versus(family, comparison, scale) for family in families]))
    if width >= WIDE:
        columns.append(Column("median", [scale.value(family.median) for family in families]))
        columns.append(Column("numbers", [str(best.complexity) if best else "–" for best in bests]))
    raced = any(family.eliminated for family in families)
    columns.append(Column("all seeds" if raced else "trials", [str(family.finished) for family in families]))
    if raced:
        columns.append(Column("left the race", [str(family.eliminated) for family in families]))
    columns.append(Column("failed", [str(family.failed) for family in families]))
    return plain_table(columns, [family.rank == 1 for family in families])


def _versus(family: FamilyRank, comparison: ConstantComparison, scale: Scale) -> str:
    if family.family == CONSTANT_FAMILY:
        return "baseline" if family.best else "–"
    return difference_cell(scale, comparison.of(family.family))
