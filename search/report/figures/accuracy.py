"""Draws how the accuracy grows along the trials' training."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from search.drawing import (
    INK,
    Figure,
    LegendItem,
    Table,
    epoch_axis,
    family_colour,
    finish,
    new_figure,
    score_axis,
    thinned,
)
from search.evidence import ReportSource
from search.records import TrialRecord
from search.report.tables.traces import label_of_best
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, percent
from trainables.records import Objective

_MOST_POINTS = 200
_MOST_CURVES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """One line: `x` in epochs, `y` in [0, 1]. Points that are not finite are left out."""

    label: str
    colour: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool


def accuracy_figure(source: ReportSource) -> Figure | None:
    """Draw the figure; None while no trial has a curve. Must be called inside `drawing.style`."""
    curves = _curves(source)
    return _plot(curves) if curves else None


def _curves(source: ReportSource) -> list[Curve]:
    """Return the curves of the best rules, the best constant, and the labels alone; best trial first."""
    curves = []
    best = source.best_trials
    for place, (family, trial) in enumerate(best.items()):
        constant = family == CONSTANT_FAMILY
        if place < _MOST_CURVES or constant:
            curves.append(_curve(label_of_best(trial), trial, family_colour(family), dashed=constant))
    labels_alone = source.judgement.comparison.labels_alone
    if labels_alone is not None and labels_alone.number not in {trial.number for trial in best.values()}:
        trial = next(t for t in source.search.trials if t.trial_id == labels_alone.trial_id)
        curves.append(_curve("λ = 0, the labels alone", trial, INK, dashed=False))
    return [curve for curve in curves if curve.x]


def _curve(label: str, trial: TrialRecord, colour: str, *, dashed: bool) -> Curve:
    points = [(float(record.epoch), record.validation_accuracy) for record in trial.history.epochs]
    finite = [(epoch, accuracy) for epoch, accuracy in points if accuracy is not None and math.isfinite(accuracy)]
    shown = thinned(finite, _MOST_POINTS)
    return Curve(label=label, colour=colour, x=[x for x, _ in shown], y=[y for _, y in shown], dashed=dashed)


def _limits(curves: list[Curve]) -> tuple[float, float]:
    """Return limits that begin at the lowest accuracy after a quarter of the training: the steep start is all alike."""
    highest = max(max(curve.y) for curve in curves)
    lowest = min(curve.y[len(curve.y) // 4] for curve in curves)
    margin = 0.05 * max(highest - lowest, 0.01)
    return lowest - margin, min(1.02, highest + margin)


def _plot(curves: list[Curve]) -> Figure:
    figure, (axes,) = new_figure(220)
    for place, curve in enumerate(curves):
        dash: Any = (0, (4, 2)) if curve.dashed else "-"
        # The best rule lies on top.
        order = 3 + (len(curves) - place) / 100
        axes.plot(curve.x, curve.y, color=curve.colour, linestyle=dash, zorder=order)
    epoch_axis(axes, max(curve.x[-1] for curve in curves))
    score_axis(axes.yaxis, *_limits(curves), Scale(Objective()))
    axes.set_ylabel("validation accuracy, %")
    first = curves[0]
    ends = sorted(curve.y[-1] for curve in curves)
    return finish(
        figure,
        name="accuracy",
        title="How does accuracy grow along training?",
        caption=(
            "A line is the best trial of a family in the search, averaged over the seeds. The axis leaves out the steep"
            " start, which is alike for all."
        ),
        finding=(
            f"{first.label[:1].upper()}{first.label[1:]} ends at {percent(first.y[-1], 1)}; the curves end between"
            f" {percent(ends[0], 1)} and {percent(ends[-1], 1)}."
        ),
        legend=tuple(
            LegendItem(label=f"{curve.label} ({percent(curve.y[-1], 1)})", colour=curve.colour, dashed=curve.dashed)
            for curve in curves
        ),
        table=Table(
            ("who", "epoch", "validation_accuracy"),
            tuple((curve.label, x, y) for curve in curves for x, y in zip(curve.x, curve.y, strict=True)),
        ),
    )
