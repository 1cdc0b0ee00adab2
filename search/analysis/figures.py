"""Draws all figures of an analysis, in reading order."""

from __future__ import annotations

from search.analysis.figure_accuracy import breakdown_figure, choices_figure, horizons_figure, prediction_figure
from search.analysis.figure_best import plane_figure, readings_figure
from search.analysis.figure_maps import maps_figure
from search.analysis.findings import Findings
from search.drawing import Figure, style
from search.records import AnalysisRecord


def analysis_figures(record: AnalysisRecord, findings: Findings) -> tuple[Figure, ...]:
    """Draw seven figures, each for the report's page and as files; takes some seconds."""
    with style():
        return (
            maps_figure(record, findings),
            plane_figure(record),
            readings_figure(record, findings),
            prediction_figure(record, findings),
            breakdown_figure(findings),
            choices_figure(findings),
            horizons_figure(record),
        )
