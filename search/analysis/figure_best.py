"""Draws the λ that truly was best in one step: in the plane of angle and norm ratio, and against each reading."""

from __future__ import annotations

from typing import Any

import numpy as np

from search.analysis.claims import best_weights
from search.analysis.figure_style import SERIES, WEIGHT_LEGEND, Plane, above, three_ticks, weight_dots
from search.analysis.findings import Findings
from search.analysis.tables import GOALS, Floats, places
from search.analysis.wording import LOSS_NAMES, finding
from search.drawing import INK, Figure, LegendItem, Table, finish, new_figure, plain_axis
from search.records import AnalysisRecord

_BINS = 5


def plane_figure(record: AnalysisRecord) -> Figure:
    """Draw the probes by angle and norm ratio, coloured by their best λ. Must be called inside `drawing.style`."""
    figure, axes = new_figure(178, columns=2, left=38, right=8, bottom=34, top=20, gap=(22, 0))
    plane = Plane(record)
    x, y = plane.probes
    for place, (loss, panel) in enumerate(zip(GOALS, axes, strict=True)):
        best = best_weights(record, loss)
        known = np.isfinite(best) & np.isfinite(x) & np.isfinite(y)
        panel.axhline(0, color=INK, linewidth=0.5)
        panel.axvline(0, color=INK, linewidth=0.5)
        weight_dots(panel, x[known], y[known], best[known], s=16, linewidth=0.4)
        plane.draw(panel, left=place == 0)
        above(panel, f"best for the {LOSS_NAMES[loss]}", colour=INK, size=7.5)
        panel.set_xlabel("cosine")
    axes[0].set_ylabel("norm ratio", labelpad=1)
    found = places(record)
    columns = [found.seed, found.step, found.cosine, np.exp(found.log_ratio)]
    columns += [best_weights(record, loss) for loss in GOALS]
    rows = zip(*(column.tolist() for column in columns), strict=True)
    return finish(
        figure,
        name="best-plane",
        title="At which angle and norm ratio was which λ best?",
        caption=(
            "Each dot is a probe, placed by the gradients of its training batch. Its colour is the λ at which a step of"
            " the training's own optimiser lowered the loss on held-out pictures most."
            + (
                " On the dashed line the analysed rule's λ is in the middle of its range."
                if plane.rule is not None
                else ""
            )
        ),
        legend=WEIGHT_LEGEND,
        table=Table(("seed", "step", "cosine", "norm_ratio", "best_weight_task", "best_weight_mean"), tuple(rows)),
    )


def readings_figure(record: AnalysisRecord, findings: Findings) -> Figure:
    """Draw the best λ against cosine, norm ratio and progress. Must be called inside `drawing.style`."""
    found = places(record)
    readings = (("cosine", found.cosine, False), ("norm ratio", np.exp(found.log_ratio), True))
    columns = (*readings, ("progress", found.progress, False))
    figure, axes = new_figure(248, rows=2, columns=3, left=30, right=8, bottom=34, top=20, gap=(16, 28))
    panels, rows = iter(axes), []
    for row, loss in enumerate(GOALS):
        best = best_weights(record, loss)
        for column, (name, values, log) in enumerate(columns):
            panel: Any = next(panels)
            known = np.isfinite(best) & np.isfinite(values) & (values > 0.0 if log else True)
            panel.plot(
                values[known], best[known], "o", markersize=2.6, color=SERIES[row], alpha=0.35, markeredgewidth=0
            )
            if log:
                panel.set_xscale("log")
            middles, means, halves = binned(values[known], best[known], log=log)
            panel.errorbar(
                middles, means, yerr=halves, color=INK, linewidth=1.3, elinewidth=0.9, marker="o", markersize=3
            )
            rows += [(loss, name, m, w, h) for m, w, h in zip(middles, means, halves, strict=True)]
            panel.set_ylim(-0.06, 1.06)
            three_ticks(panel.yaxis, (0, 0.5, 1), ("0", "½", "1"), shown=column == 0)
            plain_axis(panel.xaxis, log=log, ticks=3)
            if column == 0:
                above(panel, f"best λ for the {LOSS_NAMES[loss]}", colour=INK)
            if row == 1:
                panel.set_xlabel(name)
            else:
                panel.tick_params(labelbottom=False)
    return finish(
        figure,
        name="best-readings",
        title="How does the best λ move with angle, norm ratio and progress?",
        finding=finding(findings),
        caption=(
            "Dots are probes. The line joins the means of five groups of equally many probes; bars are 95 % intervals"
            " as if probes were independent. Readings move together along a training, so a slope here is not a cause;"
            " the claims are judged between seeds at the same step."
        ),
        legend=(LegendItem(label="mean of a fifth of the probes", colour=INK),),
        table=Table(("loss", "reading", "middle", "mean_best_weight", "half_interval"), tuple(rows)),
    )


def binned(values: Floats, best: Floats, *, log: bool = False) -> tuple[list[float], list[float], list[float]]:
    """Return (middles, mean best λ, half of its 95 % interval) of equally large groups by value.

    There are up to five groups of at least 3 probes; two probes in all form one group.
    """
    order = np.argsort(values, kind="stable")
    middles, means, halves = [], [], []
    for rows in np.array_split(order, min(_BINS, max(1, len(order) // 3))):
        if len(rows) < 2:
            continue
        own = np.log(values[rows]) if log else values[rows]
        middles.append(float(np.exp(own.mean())) if log else float(own.mean()))
        means.append(float(best[rows].mean()))
        halves.append(float(1.96 * best[rows].std(ddof=1) / np.sqrt(len(rows))))
    return middles, means, halves
