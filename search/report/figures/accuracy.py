"""Draws how the accuracy grows along the trials' training."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from search.drawing import (
    INK,
    Figure,
    LegendItem,
    Table,
    css_colour,
    family_colour,
    finish,
    new_figure,
    percent_axis,
    plain_axis,
    thinned,
)
from search.evidence import ReportSource, rule_title
from search.records import TrialRecord
from search.settings import CONSTANT_FAMILY
from search.wording import percent

_MOST_POINTS = 200
_MOST_CURVES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """One line: `x` in epochs, `y` in [0, 1]. Points that are not finite are left out."""

    label: str
    family: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    dashed: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccuracyInfo:
    """The accuracy curves, best trial first, and the limits of the axis of accuracy."""

    curves: tuple[Curve, ...]
    limits: tuple[float, float]


def accuracy_figure(source: ReportSource) -> Figure | None:
    """Draw the figure; None while no trial has a curve. Must be called inside `drawing.style`."""
    info = _get_accuracy_info(source)
    return _plot_accuracy(info) if info else None


def _get_accuracy_info(source: ReportSource) -> AccuracyInfo | None:
    """Collect the curves of the best rules, the best constant, and the labels alone; None if there are none."""
    curves = []
    best = source.best_trials
    for place, (family, trial) in enumerate(best.items()):
        constant = family == CONSTANT_FAMILY
        if place < _MOST_CURVES or constant:
            name = rule_title(family, trial.parameters)
            curves.append(_curve(f"best constant, {name}" if constant else name, trial, family, dashed=constant))
    labels_alone = source.judgement.comparison.labels_alone
    if labels_alone is not None and labels_alone.number not in {trial.number for trial in best.values()}:
        trial = next(t for t in source.search.trials if t.trial_id == labels_alone.trial_id)
        curves.append(_curve("λ = 0, the labels alone", trial, "", dashed=False))
    curves = [curve for curve in curves if curve.x]
    if not curves:
        return None
    highest = max(max(curve.y) for curve in curves)
    # The steep start is the same for all, so the axis begins at the lowest accuracy after a quarter of the training.
    lowest = min(curve.y[len(curve.y) // 4] for curve in curves)
    margin = 0.05 * max(highest - lowest, 0.01)
    return AccuracyInfo(curves=tuple(curves), limits=(lowest - margin, min(1.02, highest + margin)))


def _curve(label: str, trial: TrialRecord, family: str, *, dashed: bool) -> Curve:
    points = [(float(record.epoch), record.validation_accuracy) for record in trial.history.epochs]
    finite = thinned([(x, y) for x, y in points if math.isfinite(y)], _MOST_POINTS)
    return Curve(
        label=label, family=family, x=tuple(x for x, _ in finite), y=tuple(y for _, y in finite), dashed=dashed
    )


def _plot_accuracy(info: AccuracyInfo) -> Figure:
    figure, (axes,) = new_figure(220)
    for place, curve in enumerate(info.curves):
        dash: Any = (0, (4, 2)) if curve.dashed else "-"
        # The best rule lies on top.
        order = 3 + (len(info.curves) - place) / 100
        axes.plot(curve.x, curve.y, color=_colour(curve), linestyle=dash, zorder=order)
    axes.set_xlim(0, max(curve.x[-1] for curve in info.curves))
    plain_axis(axes.xaxis, ticks=6)
    axes.set_xlabel("epoch")
    percent_axis(axes.yaxis, *info.limits)
    axes.set_ylabel("validation accuracy, %")
    first = info.curves[0]
    ends = sorted(curve.y[-1] for curve in info.curves)
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
            LegendItem(
                label=f"{curve.label} ({percent(curve.y[-1], 1)})",
                colour=css_colour(_colour(curve)),
                dashed=curve.dashed,
            )
            for curve in info.curves
        ),
        table=Table(
            ("who", "epoch", "validation_accuracy"),
            tuple((curve.label, x, y) for curve in info.curves for x, y in zip(curve.x, curve.y, strict=True)),
        ),
    )


def _colour(curve: Curve) -> str:
    return family_colour(curve.family) if curve.family else INK
