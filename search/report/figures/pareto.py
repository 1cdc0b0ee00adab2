"""Draws what a better score costs: the front of the score and one cost."""

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
from search.wording import Scale, count, family_title, number

_MOST_POINTS = 200
_HEIGHT = 210


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrontInfo:
    """The data of the figure. `dominated` are the trials off the front, with what each costs."""

    cost: Cost
    front: Front
    dominated: tuple[tuple[TrialRecord, int], ...]
    limits: tuple[float, float]
    scale: Scale


def front_figures(search: SearchRecord) -> tuple[Figure, ...]:
    """Draw a figure for each cost that differs between trials. Must be called inside `drawing.style`."""
    return tuple(_plot_front(info) for info in _get_front_infos(search))


def _get_front_infos(search: SearchRecord) -> tuple[FrontInfo, ...]:
    return tuple(_info(search, front, front.costs[0]) for front in fronts(search) if len(front.costs) == 1)


def _info(search: SearchRecord, front: Front, cost: Cost) -> FrontInfo:
    on_front = {point.number for point in front.points}
    rest = [
        (trial, value)
        for trial in search.finished
        if trial.number not in on_front and (value := cost_of(search, trial, cost)) is not None
    ]
    ends = [p.score + sign * (p.spread or 0.0) for p in front.points for sign in (-1, 1)]
    scale = Scale(search.objective)
    scores = [trial.score or 0.0 for trial in search.finished]
    return FrontInfo(
        cost=cost,
        front=front,
        dominated=tuple(thinned(rest, _MOST_POINTS)),
        limits=focus(scores, ends, scale),
        scale=scale,
    )


def _plot_front(info: FrontInfo) -> Figure:
    from matplotlib.ticker import MaxNLocator

    low, high = info.limits
    figure, (axes,) = new_figure(_HEIGHT, left=44, right=12, bottom=34, top=12)
    log = info.cost != "complexity"
    costs = [float(point.costs[info.cost]) for point in info.front.points]
    every = [*costs, *(float(cost) for _, cost in info.dominated)]
    if log:
        axes.set_xscale("log")
        axes.set_xlim(min(every) / 1.3, max(every) * 1.3)
    else:
        axes.set_xlim(min(every) - 0.6, max(every) + 0.6)
    axes.set_ylim(low, high)
    plain_axis(axes.xaxis, log=log)
    if not log:
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    score_axis(axes.yaxis, low, high, info.scale)
    axes.set_xlabel(COST_TITLES[info.cost])
    axes.set_ylabel(score_label(info.scale, short=True))
    hidden = sum((trial.score or 0.0) < low for trial, _ in info.dominated)
    for (trial, value), offset in zip(info.dominated, jitter(len(info.dominated)), strict=True):
        _plot_dominated(axes, trial, value, offset, log=log)
    # The line is the best score up to each cost.
    scores = [point.score for point in info.front.points]
    axes.step([*costs, axes.get_xlim()[1]], [*scores, scores[-1]], where="post", color=INK, linewidth=1.0, zorder=2)
    for point, cost in zip(info.front.points, costs, strict=True):
        _plot_point(axes, point, cost)
        if log:
            beside = {"xytext": (0, -15), "textcoords": "offset points", "ha": "center", "fontsize": 8.5}
            axes.annotate(point.student, (cost, point.score), color=INK, zorder=6, **beside)
    title = _title(info.cost)
    name = f"front-{info.cost}"
    return finish(
        figure,
        name=name,
        title=title,
        caption=_caption(info, hidden),
        finding=_finding(info),
        legend=_legend(info),
        table=_table(info),
    )


def _finding(info: FrontInfo) -> str:
    """Return what the last step along the front gains, in a sentence."""
    told = gains_in_words(info.front, info.cost, info.scale)[-1:]
    return told[0] if told else "One trial is best in both."


def _table(info: FrontInfo) -> Table:
    points = [(p.number, p.family, p.costs[info.cost], p.score, p.spread, True, p.knee) for p in info.front.points]
    rest = [
        (trial.number, trial.family, cost, trial.score, trial.history.score_std, False, False)
        for trial, cost in info.dominated
    ]
    return Table(("trial", "family", info.cost, "score", "standard_deviation", "on_front", "knee"), (*points, *rest))


def _plot_dominated(axes: Any, trial: TrialRecord, cost: int, offset: float, *, log: bool) -> None:
    at = cost * math.exp(0.06 * offset) if log else cost + 0.22 * offset
    marker = "s" if trial.family == CONSTANT_FAMILY else "o"
    axes.plot(
        at, trial.score or 0.0, marker, markersize=3.6, color=family_colour(trial.family), alpha=0.4, markeredgewidth=0
    )


def _plot_point(axes: Any, point: FrontPoint, cost: float) -> None:
    colour = family_colour(point.family)
    axes.errorbar(cost, point.score, yerr=point.spread or 0.0, color=colour, elinewidth=1.4, zorder=4)
    if point.knee:
        axes.plot(cost, point.score, "o", markersize=13, markerfacecolor="none", markeredgecolor=INK, zorder=4)
    marker = "s" if point.family == CONSTANT_FAMILY else "D"
    axes.plot(cost, point.score, marker, markersize=6, color=colour, markeredgecolor=INK, markeredgewidth=0.7, zorder=5)


def _title(cost: Cost) -> str:
    return "What does a more complex rule gain?" if cost == "complexity" else "What does a larger student gain?"


def _legend(info: FrontInfo) -> tuple[LegendItem, ...]:
    families = dict.fromkeys(
        [*(point.family for point in info.front.points), *(trial.family for trial, _ in info.dominated)]
    )
    return tuple(
        LegendItem(label=family_title(family), colour=css_colour(family_colour(family)), dot=True)
        for family in families
    )


def _caption(info: FrontInfo, hidden: int) -> str:
    text = (
        "Each dot is a finished trial, placed by its mean over the seeds; squares are constants. Those with an edge are"
        " on the front: no trial scores as well for less. Bars are one standard deviation between seeds."
    )
    if any(point.knee for point in info.front.points):
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
