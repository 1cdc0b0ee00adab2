"""What the best rules do along training: λ, the gradients' geometry, and the accuracy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

from search.records import SearchRecord, TrialRecord
from search.report.drawing import Figure, new_figure, percent_axis, plain_axis, thinned, to_svg
from search.report.palette import GRID, INK, LegendItem, css_colour, family_colour
from search.report.ranking import CONSTANT_FAMILY, best_trials, compare_to_constant
from search.wording import family_title, number, percent
from trainables.records import TracePoint

_MOST_POINTS = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class Curve:
    """One line: `x` in epochs. Points that are not finite are left out."""

    label: str
    family: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    dashed: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class AccuracyInfo:
    """The accuracy curves, best end first, and the limits of the axis of accuracy."""

    curves: tuple[Curve, ...]
    limits: tuple[float, float]


def training_figures(search: SearchRecord) -> tuple[Figure, ...]:
    """The figures for which there is something to show. To be called inside `drawing.style`."""
    weights = _get_trace_info(search, lambda point: point.weight)
    cosines = _get_trace_info(search, lambda point: point.cosine)
    ratios = _get_trace_info(search, lambda point: point.norm_ratio if point.norm_ratio > 0 else math.nan)
    accuracy = _get_accuracy_info(search)
    drawn = (
        _plot_weights(weights) if weights else None,
        _plot_accuracy(accuracy) if accuracy else None,
        _plot_cosine(cosines) if cosines else None,
        _plot_norm_ratio(ratios) if ratios else None,
    )
    return tuple(figure for figure in drawn if figure is not None)


def _get_trace_info(search: SearchRecord, read: Callable[[TracePoint], float]) -> tuple[Curve, ...]:
    """One curve for the best trial of each family that has kept its trace, best family first."""
    curves = (
        _curve(family_title(family), trial, [(point.epoch, read(point)) for point in trial.history.trace])
        for family, trial in best_trials(search).items()
    )
    return tuple(curve for curve in curves if curve.x)


def _get_accuracy_info(search: SearchRecord) -> AccuracyInfo | None:
    trials = {family_title(family): trial for family, trial in best_trials(search).items()}
    curves = []
    for label, trial in trials.items():
        constant = trial.family == CONSTANT_FAMILY
        label = f"best constant, λ = {number(trial.parameters.get('weight'))}" if constant else label
        curves.append(_accuracy_curve(label, trial, dashed=constant))
    labels_alone = compare_to_constant(search).labels_alone
    if labels_alone is not None and labels_alone.number not in {t.number for t in trials.values()}:
        trial = next(t for t in search.trials if t.trial_id == labels_alone.trial_id)
        curves.append(_accuracy_curve("λ = 0, the labels alone", trial, dashed=False, family=""))
    curves = [curve for curve in curves if curve.x]
    if not curves:
        return None
    highest = max(max(curve.y) for curve in curves)
    # The steep start is the same for all; the axis begins where the slowest stands after a quarter of its training.
    lowest = min(curve.y[len(curve.y) // 4] for curve in curves)
    margin = 0.05 * max(highest - lowest, 0.01)
    return AccuracyInfo(curves=tuple(curves), limits=(lowest - margin, min(1.02, highest + margin)))


def _accuracy_curve(label: str, trial: TrialRecord, *, dashed: bool, family: str | None = None) -> Curve:
    points = [(float(record.epoch), record.validation_accuracy) for record in trial.history.epochs]
    return _curve(label, trial, points, dashed=dashed, family=family)


def _curve(
    label: str,
    trial: TrialRecord,
    points: Sequence[tuple[float, float]],
    *,
    dashed: bool = False,
    family: str | None = None,
) -> Curve:
    finite = thinned([p for p in points if math.isfinite(p[0]) and math.isfinite(p[1])], _MOST_POINTS)
    return Curve(
        label=label,
        family=trial.family if family is None else family,
        x=tuple(x for x, _ in finite),
        y=tuple(y for _, y in finite),
        dashed=dashed,
    )


def _plot_weights(curves: tuple[Curve, ...]) -> Figure:
    columns = 1 if len(curves) == 1 else 2
    rows = -(-len(curves) // columns)
    figure, axes = new_figure(
        rows * 84 + 38, rows=rows, columns=columns, left=30, right=8, bottom=34, top=18, gap=(14, 26)
    )
    last = max(curve.x[-1] for curve in curves)
    for place, panel in enumerate(axes):
        if place >= len(curves):
            panel.set_axis_off()
            continue
        curve = curves[place]
        for other in curves:
            if other is not curve:
                panel.plot(other.x, other.y, color=GRID, linewidth=1.2, zorder=1)
        panel.plot(curve.x, curve.y, color=family_colour(curve.family), linewidth=2.0, zorder=3)
        panel.set_title(curve.label, loc="left", color=INK, pad=4)
        panel.set_xlim(0, last)
        panel.set_ylim(-0.04, 1.04)
        panel.set_yticks([0, 0.5, 1], ["0", "0.5", "1"] if place % columns == 0 else [])
        plain_axis(panel.xaxis)
        if place + columns < len(curves):
            panel.tick_params(labelbottom=False)
        else:
            panel.set_xlabel("epoch")
    title = "What does each best rule do with λ?"
    caption = (
        "λ is the weight of the teacher's loss: 1 follows the teacher alone, 0 the labels alone. Averaged over the"
        " seeds; the other families' rules in grey."
    )
    return Figure(name="weights", title=title, caption=caption, svg=to_svg(figure, "weights", title))


def _plot_accuracy(info: AccuracyInfo) -> Figure:
    figure, (axes,) = new_figure(220)
    _plot_curves(axes, info.curves)
    percent_axis(axes.yaxis, *info.limits)
    axes.set_ylabel("validation accuracy, %")
    title = "How does accuracy grow along training?"
    caption = "Averaged over the seeds. The axis leaves out the steep start, which is alike for all."
    legend = tuple(
        dataclasses.replace(item, label=f"{item.label} ({percent(curve.y[-1], 1)})")
        for item, curve in zip(_legend(info.curves), info.curves, strict=True)
    )
    return Figure(name="accuracy", title=title, caption=caption, svg=to_svg(figure, "accuracy", title), legend=legend)


def _plot_cosine(curves: tuple[Curve, ...]) -> Figure:
    figure, (axes,) = new_figure(200)
    axes.axhline(0, color=INK, linewidth=0.7)
    _plot_curves(axes, curves)
    plain_axis(axes.yaxis)
    axes.set_ylabel("cosine of the gradients")
    title = "Do teacher and labels pull the same way?"
    caption = "1: the same direction; 0: at right angles; below 0: what helps one harms the other."
    return Figure(
        name="cosine", title=title, caption=caption, svg=to_svg(figure, "cosine", title), legend=_legend(curves)
    )


def _plot_norm_ratio(curves: tuple[Curve, ...]) -> Figure:
    figure, (axes,) = new_figure(200)
    axes.set_yscale("log")
    axes.axhline(1, color=INK, linewidth=0.7)
    _plot_curves(axes, curves)
    plain_axis(axes.yaxis, log=True)
    axes.set_ylabel("ratio of gradient lengths")
    title = "Whose gradient is longer, the teacher's or the labels'?"
    caption = "Length of the teacher's gradient over the labels', logarithmic; above 1 the teacher pulls harder."
    return Figure(
        name="ratio", title=title, caption=caption, svg=to_svg(figure, "ratio", title), legend=_legend(curves)
    )


def _plot_curves(axes: Any, curves: tuple[Curve, ...]) -> None:
    for place, curve in enumerate(curves):
        dash: Any = (0, (4, 2)) if curve.dashed else "-"
        # The best rule lies on top.
        axes.plot(curve.x, curve.y, color=_colour(curve), linestyle=dash, zorder=3 + (len(curves) - place) / 100)
    axes.set_xlim(0, max(curve.x[-1] for curve in curves))
    plain_axis(axes.xaxis, ticks=6)
    axes.set_xlabel("epoch")


def _legend(curves: tuple[Curve, ...]) -> tuple[LegendItem, ...]:
    return tuple(LegendItem(label=c.label, colour=css_colour(_colour(c)), dashed=c.dashed) for c in curves)


def _colour(curve: Curve) -> str:
    return family_colour(curve.family) if curve.family else INK
