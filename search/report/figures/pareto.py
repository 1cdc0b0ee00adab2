"""Draws what a better score costs: the front of the score and one cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from search.drawing import (
    INK,
    Figure,
    Table,
    family_colour,
    family_legend,
    finish,
    focus,
    jitter,
    new_figure,
    plain_axis,
    score_axis,
    score_label,
    thinned,
)
from search.evidence import Front, FrontPoint, cost_of, fronts, interval_in_words
from search.records import SearchRecord, TrialRecord
from search.settings import CONSTANT_FAMILY, COST_TITLES, Cost
from search.wording import Scale, count, number

_MOST_POINTS = 200
_HEIGHT = 210


def front_figures(search: SearchRecord) -> tuple[Figure, ...]:
    """Draw a figure for each cost that differs between trials. Must be called inside `drawing.style`."""
    return tuple(_plot_front(search, front) for front in fronts(search) if len(front.costs) == 1)


def _dominated(search: SearchRecord, front: Front) -> Sequence[tuple[TrialRecord, int]]:
    """Return the trials off the front, with what each costs."""
    on_front = {point.number for point in front.points}
    rest = [
        (trial, value)
        for trial in search.finished
        if trial.number not in on_front and (value := cost_of(search, trial, front.costs[0])) is not None
    ]
    return thinned(rest, _MOST_POINTS)


def _plot_front(search: SearchRecord, front: Front) -> Figure:
    from matplotlib.ticker import MaxNLocator

    (cost,), points, scale = front.costs, front.points, Scale(search.objective)
    dominated = _dominated(search, front)
    ends = [point.score + sign * (point.spread or 0.0) for point in points for sign in (-1, 1)]
    low, high = focus([trial.score or 0.0 for trial in search.finished], ends, scale)
    figure, (axes,) = new_figure(_HEIGHT, left=44, right=12, bottom=34, top=12)
    log = cost != "complexity"
    costs = [float(point.costs[cost]) for point in points]
    every = [*costs, *(float(value) for _, value in dominated)]
    if log:
        axes.set_xscale("log")
        axes.set_xlim(min(every) / 1.3, max(every) * 1.3)
    else:
        axes.set_xlim(min(every) - 0.6, max(every) + 0.6)
    axes.set_ylim(low, high)
    plain_axis(axes.xaxis, log=log)
    if not log:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    score_axis(axes.yaxis, low, high, scale)
    axes.set_xlabel(COST_TITLES[cost])
    axes.set_ylabel(score_label(scale, short=True))
    for (trial, value), offset in zip(dominated, jitter(len(dominated)), strict=True):
        at = value * math.exp(0.06 * offset) if log else value + 0.22 * offset
        marker, colour = "s" if trial.family == CONSTANT_FAMILY else "o", family_colour(trial.family)
        axes.plot(at, trial.score or 0.0, marker, markersize=3.6, color=colour, alpha=0.4, markeredgewidth=0)
    # The line is the best score up to each cost.
    scores = [point.score for point in points]
    axes.step([*costs, axes.get_xlim()[1]], [*scores, scores[-1]], where="post", color=INK, linewidth=1.0, zorder=2)
    for point, at in zip(points, costs, strict=True):
        _plot_point(axes, point, at)
        if log:
            beside = {"xytext": (0, -15), "textcoords": "offset points", "ha": "center", "fontsize": 8.5}
            axes.annotate(point.student, (at, point.score), color=INK, zorder=6, **beside)
    hidden = sum((trial.score or 0.0) < low for trial, _ in dominated)
    told = gains_in_words(front, cost, scale)
    return finish(
        figure,
        name=f"front-{cost}",
        title="What does a larger student gain?" if log else "What does a more complex rule gain?",
        caption=_caption(front, hidden),
        finding=told[-1] if told else "One trial is best in both.",
        legend=family_legend([*(point.family for point in points), *(trial.family for trial, _ in dominated)]),
        table=Table(
            ("trial", "family", cost, "score", "standard_deviation", "on_front", "knee"),
            (
                *((p.number, p.family, p.costs[cost], p.score, p.spread, True, p.knee) for p in points),
                *((t.number, t.family, value, t.score, t.history.score_std, False, False) for t, value in dominated),
            ),
        ),
    )


def _plot_point(axes: Any, point: FrontPoint, cost: float) -> None:
    colour = family_colour(point.family)
    axes.errorbar(cost, point.score, yerr=point.spread or 0.0, color=colour, elinewidth=1.4, zorder=4)
    if point.knee:
        axes.plot(cost, point.score, "o", markersize=13, markerfacecolor="none", markeredgecolor=INK, zorder=4)
    marker = "s" if point.family == CONSTANT_FAMILY else "D"
    axes.plot(cost, point.score, marker, markersize=6, color=colour, markeredgecolor=INK, markeredgewidth=0.7, zorder=5)


def _caption(front: Front, hidden: int) -> str:
    text = (
        "Each dot is a finished trial, placed by its mean over the seeds; squares are constants. Those with an edge are"
        " on the front: no trial scores as well for less. Bars are one standard deviation between seeds."
    )
    if any(point.knee for point in front.points):
        text += " The ring marks the knee, after which a higher cost gains less."
    if hidden:
        text += f" {count(hidden, 'trial')} further down {'is' if hidden == 1 else 'are'} not shown."
    return text


def gains_in_words(front: Front, cost: Cost, scale: Scale) -> tuple[str, ...]:
    """Return what each step of a front of one cost gains, and whether seeds alone would explain it."""
    sentences = []
    for cheaper, point in zip(front.points, front.points[1:], strict=False):
        step = f"From {number(cheaper.costs[cost])} to {number(point.costs[cost])} {COST_TITLES[cost]}"
        gain = scale.margin(point.score - cheaper.score)
        if point.gain is None or point.gain.low is None or point.gain.high is None:
            sentences.append(f"{step}: {gain}, with unknown noise.")
        else:
            interval = interval_in_words(scale, point.gain, len(point.gain.seeds))
            clear = "" if point.gain.low > 0.0 or point.gain.too_few_seeds else ", which seeds alone may explain"
            sentences.append(f"{step}: {gain} ({interval}){clear}.")
    return tuple(sentences)
