"""Draws how well the expansions predict, and what choosing λ by them gives up."""

from __future__ import annotations

from typing import Any

import numpy as np

from search.analysis.accuracy import missed, of_finite
from search.analysis.figure_style import SERIES, WEIGHT_LEGEND, above, three_ticks, weight_dots
from search.analysis.findings import Findings, later_changes
from search.analysis.tables import BOTH, GOALS, changes
from search.analysis.wording import LOSS_NAMES, PREDICTION_NAMES, r2
from search.drawing import GRID, INK, MUTED, Figure, LegendItem, Table, finish, new_figure, plain_axis, thinned
from search.records import AnalysisRecord
from trainables.records import Loss

_SHOWN = {"from_batch": "batch's gradient", "first": "first order", "halfway": "second, halfway"}
_OF_PARTS = ("from_batch", "first", "second", "halfway")
_MOST_DOTS = 150
_ROW = 15
_GIVEN_UP = "given up, % of what λ can do"


def prediction_figure(record: AnalysisRecord, findings: Findings) -> Figure:
    """Draw predicted against true changes. Must be called inside `drawing.style`."""
    figure, axes = new_figure(250, rows=2, columns=3, left=42, right=8, bottom=34, top=20, gap=(12, 32))
    panels, rows = iter(axes), []
    fits = {(f.loss, f.prediction): f for f in findings.fits if (f.where, f.kind) == ("held_out", "optimizer")}
    for loss in BOTH:
        table = changes(record, loss)
        finite = table.true[np.isfinite(table.true)]
        low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
        margin = 0.08 * (high - low) or 1.0
        for column, (name, words) in enumerate(_SHOWN.items()):
            panel: Any = next(panels)
            predicted = table.predictions[name]
            of = np.broadcast_to(np.array(record.weights), predicted.shape)
            dots = thinned([*zip(predicted.flat, table.true.flat, of.flat, strict=True)], _MOST_DOTS)
            dots = [dot for dot in dots if all(map(np.isfinite, dot))]
            rows += [(loss, name, float(x), float(y), float(w)) for x, y, w in dots]
            panel.axline((0, 0), slope=1, color=MUTED, linewidth=0.8)
            if dots:
                x, y, weights = zip(*dots, strict=True)
                weight_dots(panel, x, y, weights, s=6, linewidth=0.2)
            panel.set_xlim(low - margin, high + margin)
            panel.set_ylim(low - margin, high + margin)
            plain_axis(panel.xaxis, ticks=2)
            plain_axis(panel.yaxis, ticks=3)
            if column:
                panel.tick_params(labelleft=False)
            fit = fits[loss, name]
            above(panel, f"{words}\nR² {r2(fit.r2)}, between {r2(fit.r2_between)}", colour=INK, size=7)
        axes[3 * BOTH.index(loss)].set_ylabel(f"{LOSS_NAMES[loss]}, true", fontsize=8)
    axes[4].set_xlabel("predicted change, nats")
    return finish(
        figure,
        name="prediction",
        title="Does the expansion predict what a step does to held-out pictures?",
        caption=(
            "Each dot is a step of the training's own optimiser at one λ (colour); on the line, prediction and truth"
            " agree. A rule can know the “batch's gradient” only. “Between” is R² between the λ of one probe (median):"
            " it shows whether the prediction ranks the λ. “Halfway” takes the curvature met over half the step."
        ),
        legend=WEIGHT_LEGEND,
        table=Table(("loss", "prediction", "predicted", "true", "weight"), tuple(rows)),
    )


def breakdown_figure(findings: Findings) -> Figure:
    """Draw what the λ of each expansion gives up, by thirds of the probes. Must be called inside `drawing.style`."""
    parts = list(dict.fromkeys(fit.part for fit in findings.parts))
    figure, axes = _dots_figure(parts, BOTH, left=82, gap=14)
    for loss, panel in zip(BOTH, axes, strict=True):
        for number_, name in enumerate(_OF_PARTS):
            own = {fit.part: fit.missed for fit in findings.parts if (fit.loss, fit.prediction) == (loss, name)}
            heights = [row + 0.13 * (number_ - 1.5) for row in range(len(parts))]
            panel.plot([own[part] for part in parts], heights, "o", color=SERIES[number_], markersize=4)
        for row in range(3, len(parts), 3):
            panel.axhline(row - 0.5, color=GRID, linewidth=0.8)
    rows = [(f.loss, f.part, f.prediction, f.probes, f.r2, f.r2_between, f.missed) for f in findings.parts]
    return finish(
        figure,
        name="breakdown",
        title="Where does the expansion break down?",
        caption=(
            "The steps are the optimiser's, on held-out pictures, by thirds of the probes. At each probe the λ that a"
            " prediction calls best is compared with the best and the worst of those tried: 0 % is the best, 100 % the"
            " worst."
        ),
        legend=tuple(
            LegendItem(label=PREDICTION_NAMES[name], colour=colour, dot=True)
            for name, colour in zip(_OF_PARTS, SERIES, strict=False)
        ),
        table=Table(("loss", "part", "prediction", "probes", "r2", "r2_between", "given_up"), tuple(rows)),
    )


def choices_figure(findings: Findings) -> Figure:
    """Draw what constants, maps, rules and expansions give up. Must be called inside `drawing.style`."""
    names = [choice.name for choice in findings.choices["task"]]
    figure, axes = _dots_figure(names, GOALS, left=160, gap=12, size=7.2)
    rows = []
    for loss, panel in zip(GOALS, axes, strict=True):
        for row, choice in enumerate(findings.choices[loss]):
            panel.plot([choice.low, choice.high], [row, row], color=SERIES[0], linewidth=1.4)
            panel.plot(choice.missed, row, "o", color=SERIES[0], markersize=4.5)
            rows.append((loss, choice.name, choice.missed, choice.low, choice.high))
    return finish(
        figure,
        name="choices",
        title="What does a way of choosing λ give up in one step?",
        caption=(
            "0 % is the λ that was best for the held-out loss at that probe, 100 % the worst. A dot is the mean over"
            " the probes, with its 95 % interval. Maps and rules know only the batch's angle and norm ratio. No rule"
            " knows the held-out gradient; it shows the loss through the batch's noise."
        ),
        table=Table(("loss", "way", "given_up", "low", "high"), tuple(rows)),
    )


def horizons_figure(record: AnalysisRecord) -> Figure:
    """Draw what each λ gives up after one step and after more of them. Must be called inside `drawing.style`."""
    figure, axes = new_figure(170, columns=2, left=36, right=8, bottom=34, top=18, gap=(16, 0))
    horizons, lam, rows = record.settings.horizons, np.array(record.weights), []
    for place, (loss, panel) in enumerate(zip(GOALS, axes, strict=True)):
        for series, steps in enumerate(horizons):
            true = later_changes(record, loss, steps)
            true = true[np.isfinite(true).all(1)]
            if not len(true):
                continue
            curve = [of_finite(np.mean, missed(true, np.full(len(true), at))) for at in range(len(lam))]
            panel.plot(lam, curve, color=SERIES[series % len(SERIES)])
            rows += [(loss, steps, float(x), y) for x, y in zip(lam, curve, strict=True)]
        panel.set_ylim(0, 1)
        three_ticks(panel.yaxis, (0, 0.5, 1), ("0", "50", "100"), shown=place == 0)
        plain_axis(panel.xaxis, ticks=4)
        panel.set_xlabel("λ")
        above(panel, LOSS_NAMES[loss], colour=INK)
    axes[0].set_ylabel("given up, %", labelpad=2)
    return finish(
        figure,
        name="horizons",
        title="Is the λ of one step also the one for many?",
        caption=(
            "Each λ is kept for this number of steps on the batches to come. A line is the mean over the probes of what"
            " λ gives up: 0 % is the best λ of that probe and horizon, 100 % the worst. A flat line says that no single"
            " λ is best."
        ),
        legend=tuple(
            LegendItem(label="1 step" if k == 1 else f"{k} steps", colour=SERIES[i % len(SERIES)])
            for i, k in enumerate(horizons)
        ),
        table=Table(("loss", "steps", "weight", "given_up"), tuple(rows)),
    )


def _dots_figure(
    labels: list[str], losses: tuple[Loss, ...], *, left: float, gap: float, size: float = 8.0
) -> tuple[Any, list[Any]]:
    """Return a figure with a panel for each loss: a line for each label, and what is given up on the other axis."""
    figure, axes = new_figure(len(labels) * _ROW + 60, columns=2, left=left, right=10, bottom=34, top=18, gap=(gap, 0))
    for place, (loss, panel) in enumerate(zip(losses, axes, strict=True)):
        panel.set_xlim(-0.03, 1.03)
        panel.set_ylim(len(labels) - 0.5, -0.5)
        panel.set_xticks([0, 0.5, 1], ["0", "50", "100"])
        panel.set_yticks(range(len(labels)), labels if place == 0 else [""] * len(labels), fontsize=size, color=INK)
        panel.grid(axis="y", visible=False)
        panel.axvline(0, color=INK, linewidth=0.8)
        above(panel, LOSS_NAMES[loss].removesuffix(" losses"), colour=INK)
    figure.text(0.6 if left < 100 else 0.7, 0.01, _GIVEN_UP, ha="center", fontsize=8.5, color=MUTED)
    return figure, axes
