"""Renders the search's answer in a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from search.evidence import ConstantComparison, FamilyRank, Judgement, ReportSource, importances, settings_in_words
from search.records import SearchRecord
from search.report.terminal.confirmation import render_confirmation
from search.report.terminal.fronts import render_fronts, render_students
from search.report.terminal.kpis import render_own_kpis
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, count, family_title

_WIDE = 100
_MEDIUM = 72
_MOST_FAILED = 5


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
        parts += [Text(), Text(heading), Padding(Text(recommended.rule), (0, 0, 0, 2))]
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
    parts.append(Text(verdict.headline, style="bold"))
    rest = " ".join(part for part in (verdict.evidence, verdict.caveat) if part)
    if rest:
        parts.append(Text(rest))
    if judgement.remarks:
        parts += [Text(), *(Text(f"· {remark.sentence}") for remark in judgement.remarks)]
    if families:
        parts += [Text(), _families_table(families, judgement.comparison, Scale(judgement.objective), width)]
    if families and families[0].best is not None:
        best = families[0].best
        settings = ", ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in best.shared.items())
        found = f"trial {best.number}" + (f", {settings}" if settings else "")
        parts += [Text(), Text(f"Best rule ({found}):"), Padding(Text(best.rule), (0, 0, 0, 2))]
    failed = [trial for trial in search.trials if trial.status == "failed"]
    if failed:
        parts += [Text(), Text(f"{count(len(failed), 'trial')} failed:")]
        lines = [f"trial {t.number} ({t.family}): {t.error or 'no message'}" for t in failed[:_MOST_FAILED]]
        if len(failed) > _MOST_FAILED:
            lines.append(f"and {len(failed) - _MOST_FAILED:,} more")
        parts += [Padding(Text(line), (0, 0, 0, 2)) for line in lines]
    return Group(*parts)


def _families_table(
    families: tuple[FamilyRank, ...], comparison: ConstantComparison, scale: Scale, width: int
) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("family", no_wrap=True)
    table.add_column(Text(scale.title), justify="right", no_wrap=True)
    if width >= _MEDIUM:
        table.add_column("vs constant", justify="right", no_wrap=True)
    if width >= _WIDE:
        table.add_column("median", justify="right", no_wrap=True)
        table.add_column("numbers", justify="right", no_wrap=True)
    raced = any(family.eliminated for family in families)
    table.add_column("all seeds" if raced else "trials", justify="right", no_wrap=True)
    if raced:
        table.add_column("left the race", justify="right", no_wrap=True)
    table.add_column("failed", justify="right", no_wrap=True)
    for family in families:
        best = family.best
        cells = ["–" if family.rank is None else str(family.rank), family_title(family.family)]
        cells.append(f"{scale.value(best.score)} {scale.spread(best.spread)}".rstrip() if best else "–")
        if width >= _MEDIUM:
            cells.append(_versus(family, comparison, scale))
        if width >= _WIDE:
            cells += [scale.value(family.median), str(best.complexity) if best else "–"]
        cells += [str(family.finished), *([str(family.eliminated)] if raced else []), str(family.failed)]
        # Text, not markup: a name is data.
        table.add_row(*(Text(cell) for cell in cells), style="bold" if family.rank == 1 else "")
    return table


def _versus(family: FamilyRank, comparison: ConstantComparison, scale: Scale) -> str:
    if family.family == CONSTANT_FAMILY:
        return "baseline" if family.best else "–"
    difference = comparison.of(family.family)
    if difference is None:
        return "–"
    return f"{scale.difference(difference.mean)} {scale.spread(difference.standard_error)}".rstrip()
