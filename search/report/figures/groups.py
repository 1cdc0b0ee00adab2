"""Draws all figures of a report, in the order of the page."""

from __future__ import annotations

import dataclasses

from search.drawing import Figure, style
from search.evidence import Importance, ReportSource
from search.report.figures.accuracy import accuracy_figure
from search.report.figures.constants import constants_figure
from search.report.figures.decisions import decisions_figure
from search.report.figures.forest import forest_figure
from search.report.figures.importance import importance_figure
from search.report.figures.optimism import optimism_figure
from search.report.figures.parallel import parallel_figure
from search.report.figures.parameters import family_figures, shared_figure
from search.report.figures.pareto import front_figures
from search.report.figures.scores import scores_figure
from search.report.figures.traces import trace_figures
from search.report.tables.traces import trace_bands


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureGroup:
    """Figures under one heading; a folded group is shown on request, and not printed."""

    title: str
    figures: tuple[Figure, ...]
    folded: bool = True


def figure_groups(source: ReportSource, importances: tuple[Importance, ...]) -> tuple[FigureGroup, ...]:
    """Return the groups for which there is something to show; none while no trial has finished.

    The first one, if it is not folded, is the answer: what each rule gains, and how good a constant λ is.
    """
    search, confirmed = source.judged, source.confirmed
    with style():
        groups = (
            _group("The answer in figures", forest_figure(source), constants_figure(source), folded=False),
            _group("What the rules do along training", *trace_figures(trace_bands(source)), decisions_figure(source)),
            _group(
                "The search in figures",
                scores_figure(source),
                optimism_figure(confirmed) if confirmed else None,
                accuracy_figure(source),
                *front_figures(source.search),
                importance_figure(importances),
                parallel_figure(source),
                shared_figure(search),
            ),
            _group("What theory and virtual steps say of λ", *_analysis(source)),
            _group("The settings of each family", *family_figures(search)),
        )
    return tuple(group for group in groups if group.figures)


def _analysis(source: ReportSource) -> tuple[Figure, ...]:
    if source.analysis is None:
        return ()
    from search.analysis import analysis_figures, judge_analysis

    drawn = analysis_figures(source.analysis, judge_analysis(source.analysis))
    return tuple(dataclasses.replace(figure, name=f"analysis-{figure.name}") for figure in drawn)


def _group(title: str, *drawn: Figure | None, folded: bool = True) -> FigureGroup:
    return FigureGroup(title=title, figures=tuple(figure for figure in drawn if figure is not None), folded=folded)
