"""Draws the λ that the expansion asks for, over angle and norm ratio."""

from __future__ import annotations

from typing import Any

from search.analysis.expansion import Goal, Step, best_weight
from search.analysis.figure_style import MIDDLES, WEIGHT_LEGEND, Plane, above, weight_colours
from search.analysis.findings import Findings
from search.drawing import INK, Figure, LegendItem, Table, finish, new_figure, thinned
from search.records import AnalysisRecord
from search.wording import number

_GOALS: dict[Goal, str] = {"task": "task", "distill": "distillation", "mean": "both alike", "mixed": "mix at that λ"}
_STEPS: tuple[tuple[str, Step, dict[str, float]], ...] = (
    ("plain, short", "plain", {}),
    ("curved, ηκ = ½", "curved", {"step": 0.5}),
    ("curved, ηκ = 4", "curved", {"step": 4.0}),
    ("fixed length", "fixed_length", {"signal": 0.25}),
)
_MOST_PROBES = 60


def maps_figure(record: AnalysisRecord, findings: Findings) -> Figure:
    """Draw the figure. Must be called inside `drawing.style`."""
    plane = Plane(record)
    cosines, ratios = plane.cells
    figure, axes = new_figure(
        330, rows=len(_GOALS), columns=len(_STEPS), left=44, right=6, bottom=32, top=16, gap=(8, 18)
    )
    panels, rows = iter(axes), []
    dots = thinned(list(zip(*plane.probes, strict=True)), _MOST_PROBES)
    for goal, name in _GOALS.items():
        for column, (words, how, options) in enumerate(_STEPS):
            weights = best_weight(cosines, ratios, goal, how, **options)
            panel: Any = next(panels)
            shown = {"origin": "lower", "extent": (-1, 1, -1, 1), "aspect": "auto", "interpolation": "nearest"}
            panel.imshow(weights, vmin=0, vmax=1, cmap=weight_colours(), **shown)
            if weights.min() < 0.5 and weights.max() > 0.5:
                panel.contour(MIDDLES, MIDDLES, weights, levels=[0.5], colors=[INK], linewidths=0.8)
            plane.draw(panel, left=column == 0, below=goal == "mixed", crowded=column < len(_STEPS) - 1)
            panel.plot(*zip(*dots, strict=True), "o", markersize=1.3, color=INK, alpha=0.45, markeredgewidth=0)
            if goal == "task":
                above(panel, words, size=7.5)
            if column == 0:
                panel.set_ylabel(name, fontsize=8, color=INK, labelpad=1)
            rows += [
                (goal, words, float(c), float(r), float(w))
                for c, r, w in zip(*(part[::8, ::8].flat for part in (cosines, ratios, weights)), strict=True)
            ]
    figure.text(0.56, 0.012, "cosine of the two gradients", ha="center", fontsize=8.5)
    of_rule = LegendItem(label="the rule's middle", colour=INK, dashed=True)
    return finish(
        figure,
        name="taylor-maps",
        title="Which λ lets a loss fall furthest, if its expansion is right?",
        caption=(
            "A row is the loss to lower, a column the kind of step. The vertical axis is the norm ratio ‖g_d‖/‖g_t‖."
            " The line is λ = ½; dots are this training's batches. Plain and short: first order; a longer gradient also"
            " wins by being longer. Curved: second order with the same curvature κ in all directions; η is the learning"
            " rate. Fixed length: only the direction counts, and the goal is the loss on other pictures, whose"
            " gradient makes up a quarter of a batch's squared gradient; for the batch's own loss λ would be 0, 1 and ½"
            f" throughout. Here ηκ was {number(findings.curvature)} and that share {number(findings.signal)} (medians)."
        ),
        legend=WEIGHT_LEGEND if plane.rule is None else (*WEIGHT_LEGEND, of_rule),
        table=Table(("goal", "step", "cosine", "norm_ratio", "weight"), tuple(rows)),
    )
