"""All figures of a report, in the order of the page."""

from __future__ import annotations

from search.records import SearchRecord
from search.report.drawing import Figure, style
from search.report.figure_importance import importance_figure
from search.report.figure_parameters import parameter_figures
from search.report.figure_pareto import front_figures
from search.report.figure_scores import scores_figure
from search.report.figure_training import training_figures
from search.report.importance import Importance


def figures(search: SearchRecord, importances: tuple[Importance, ...]) -> tuple[Figure, ...]:
    """What there is something to show for; none while no trial has finished."""
    with style():
        found = (
            scores_figure(search),
            *training_figures(search),
            *front_figures(search),
            importance_figure(importances),
            *parameter_figures(search),
        )
    return tuple(figure for figure in found if figure is not None)
