"""Draws the score against the constant λ, with the constants that were tried."""

from __future__ import annotations

import statistics

from search.drawing import (
    INK,
    PAGE,
    Figure,
    LegendItem,
    Table,
    family_colour,
    finish,
    focus,
    new_figure,
    plain_axis,
    score_axis,
    score_label,
)
from search.evidence import ConstantCurve, ReportSource
from search.settings import CONSTANT_FAMILY
from search.wording import Scale, count, number

_MARGIN = 0.015


def constants_figure(source: ReportSource) -> Figure | None:
    """Draw the figure; None without a curve. Must be called inside `drawing.style`."""
    curve = source.judgement.curve
    return None if curve is None else _plot(curve, source.scale)


def certificate_text(curve: ConstantCurve, scale: Scale) -> str:
    """Return the certificate in one or two sentences."""
    known = f"By a fit to the search, λ = {number(curve.chosen)} is the best of {count(len(curve.tried), 'constant')}"
    if curve.holds:
        loss = scale.size(curve.expected_loss)
        return f"{known}, and it is bracketed: an untried one is expected to gain {loss} at most."
    return f"{known}, but it is not bracketed, since {curve.reason}. So no rule can be said to be better yet."


def _plot(curve: ConstantCurve, scale: Scale) -> Figure:
    figure, (axes,) = new_figure(230)
    colour = family_colour(CONSTANT_FAMILY)
    weights = [row.weight for row in curve.rows]
    means = [row.mean for row in curve.rows]
    lows, highs = [row.low for row in curve.rows], [row.high for row in curve.rows]
    tried = [row.mean for row in curve.tried]
    axes.fill_between(weights, lows, highs, color=colour, alpha=0.18, linewidth=0)
    axes.plot(weights, means, color=colour, linewidth=2.0, zorder=3)
    axes.plot(
        [row.weight for row in curve.tried], tried, "o",
        markersize=4.4, color=colour, alpha=0.6, markeredgewidth=0, zorder=4,
    )  # fmt: skip
    at = min(curve.rows, key=lambda row: abs(row.weight - curve.chosen))
    axes.plot(curve.chosen, at.mean, "o", markersize=9, color=INK, markeredgecolor=PAGE, zorder=5, clip_on=False)
    axes.set_xlim(min(weights) - _MARGIN, max(weights) + _MARGIN)  # room for the dots at the ends
    plain_axis(axes.xaxis, ticks=10)
    axes.set_xlabel("constant λ (0: labels alone, 1: teacher alone)")
    low, high = focus([*means, *tried], [statistics.median(means), max(highs)], scale)
    under = sum(mean < low for mean in tried)
    cut = f" {count(under, 'constant')} and the line beside them lie below the axis." if under else ""
    score_axis(axes.yaxis, low, high, scale)
    axes.set_ylabel(score_label(scale, short=not scale.is_accuracy))  # there is room for a short name
    return finish(
        figure,
        name="constants",
        title="How good is a constant λ?",
        caption=(
            "The line is the fit over λ, learning rate and temperature, each λ at its best settings; the band is two"
            f" standard deviations of it. Dots are the constants as tried, in {count(curve.trainings, 'training')}"
            f" ({100 * curve.share:.0f} % of the search's); those below the line mostly had worse settings.{cut}"
        ),
        finding=certificate_text(curve, scale),
        legend=(
            LegendItem(label="fit", colour=colour),
            LegendItem(label="tried", colour=colour, dot=True),
            LegendItem(label=f"chosen: λ = {number(curve.chosen)}", colour=INK, dot=True),
        ),
        table=Table(
            ("kind", "weight", "mean", "low", "high", "seeds", "learning_rate", "temperature"),
            (
                *(
                    ("fitted", r.weight, r.mean, r.low, r.high, None, r.learning_rate, r.temperature)
                    for r in curve.rows
                ),
                *(
                    ("chosen" if t.weight == curve.chosen else "tried", t.weight, t.mean, None, None, t.seeds,
                     t.learning_rate, t.temperature)
                    for t in curve.tried
                ),
            ),
        ),
    )  # fmt: skip
