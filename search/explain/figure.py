"""Draws one trial's decisions: λ, branches, and the geometry of the gradients."""

from __future__ import annotations

import itertools
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from search.drawing import GRID, INK, MUTED, new_figure, plain_axis, style, thinned
from search.explain.monitor_figure import plot_monitored
from search.explain.parts import ALERT, note, save
from search.explain.phases import spans
from trainables.records import TracePoint
from trainables.training import StoredLog

if TYPE_CHECKING:
    from search.explain.source import Source

_BRANCHES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#8c6d31")
_GRID_POINTS = 600
_MOST_DOTS = 600

_Array = npt.NDArray[np.float64]
_Reading = Literal["cosine", "norm_ratio"]


def write_figure(source: Source) -> tuple[pathlib.Path, pathlib.Path]:
    """Draw a decision log and return the paths of the PNG and the SVG.

    Raises:
        SearchError: the files cannot be written.
    """
    with style():
        if source.monitored is not None:
            return save(plot_monitored(source.monitored, source.title), source.figure)
        trace = source.history.trace if source.history else ()
        return save(plot_decisions(source.log, source.title, trace), source.figure)


def plot_decisions(log: StoredLog, title: str, trace: tuple[TracePoint, ...]) -> Any:
    """Draw a decision log as a matplotlib figure. Must be called inside `drawing.style`.

    Args:
        log: the log of one trial.
        title: the text above the figure.
        trace: the trace of the same trial; empty if it is not known.
    """
    panels: list[tuple[str, Callable[[Any], None]]] = [("λ", lambda axes: _plot_weight(axes, log))]
    if len(_colours(log)) > 1:
        panels.append(("seed", lambda axes: _plot_branches(axes, log)))
    if _dots(log, "cosine"):
        panels.append(("cosine", lambda axes: _plot_reading(axes, log, trace, "cosine")))
        panels.append(("norm ratio", lambda axes: _plot_reading(axes, log, trace, "norm_ratio")))
    figure, axes = new_figure(
        78 * len(panels) + 44, rows=len(panels), left=46, right=12, bottom=30, top=32, gap=(0, 18)
    )
    for (label, draw), panel in zip(panels, axes, strict=True):
        draw(panel)
        panel.set_ylabel(label)
        panel.yaxis.set_label_coords(-0.125, 0.5)
        panel.set_xlim(0, max(1, log.context.steps - 1))
        plain_axis(panel.xaxis, ticks=6)
        panel.tick_params(labelbottom=panel is axes[-1])
    axes[-1].set_xlabel("step")
    axes[0].set_title(title, loc="left", color=INK, pad=14)
    return figure


def _colours(log: StoredLog) -> dict[int, str]:
    """Return the colours of the branches that were entered, in order of their numbers."""
    return dict(zip(sorted({entry.branch for entry in log.entries}), itertools.cycle(_BRANCHES), strict=False))


def weights_by_step(log: StoredLog) -> tuple[_Array, _Array]:
    """Return steps, and λ by seed at these steps, [seeds, points]; NaN if it is not known."""
    steps = log.context.steps
    grid = np.unique(np.linspace(0, max(steps - 1, 0), min(_GRID_POINTS, max(steps, 1))).round())
    weights = np.full((len(log.context.seeds), len(grid)), np.nan)
    for row, seed in zip(weights, log.context.seeds, strict=True):
        for span in spans(log, seed):
            row[(grid >= span.first) & (grid < span.stop)] = span.entry.weight
    return grid, weights


def _plot_weight(axes: Any, log: StoredLog) -> None:
    grid, weights = weights_by_step(log)
    known = ~np.isnan(weights).all(axis=0)
    grid, weights = grid[known], weights[:, known]
    if len(weights) > 1:
        axes.fill_between(grid, np.nanmin(weights, 0), np.nanmax(weights, 0), step="post", color=GRID, zorder=1)
    axes.step(grid, np.nanmean(weights, 0), where="post", color=INK, linewidth=1.4, zorder=3)
    intervened = [entry for entry in log.entries if entry.intervention is not None]
    starts = [entry.step for entry in intervened]
    axes.hlines([1.07] * len(starts), starts, [e.step + e.repeats for e in intervened], color=ALERT, linewidth=2.4)
    axes.scatter(starts, [1.07] * len(starts), marker="v", s=14, color=ALERT, linewidth=0)
    axes.set_ylim(-0.04, 1.14 if intervened else 1.04)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    words = ["mean over the seeds, and their range"] if len(weights) > 1 else []
    note(axes, "; ".join([*words, *["▾ the guard intervened"] * bool(intervened)]))


def _plot_branches(axes: Any, log: StoredLog) -> None:
    colours, seeds = _colours(log), log.context.seeds
    for row, seed in enumerate(seeds):
        of_seed = spans(log, seed)
        for branch, colour in colours.items():
            bars = [(span.first, span.length) for span in of_seed if span.entry.branch == branch]
            axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=colour, linewidth=0)
    axes.set_ylim(len(seeds) - 0.4, -0.6)
    axes.set_yticks(range(len(seeds)), [str(seed) for seed in seeds])
    axes.grid(visible=False)
    for place, (branch, colour) in enumerate(reversed(colours.items())):
        note(axes, f"■ branch {branch}", colour=colour, x=1.0 - 0.19 * place)


def _plot_reading(axes: Any, log: StoredLog, trace: Sequence[TracePoint], reading: _Reading) -> None:
    is_ratio = reading == "norm_ratio"
    if is_ratio:
        axes.set_yscale("log")
    axes.axhline(int(is_ratio), color=INK, linewidth=0.6)
    dots, colours = _dots(log, reading), _colours(log)
    for branch, colour in colours.items():
        own = thinned([(step, value) for step, value, of in dots if of == branch], _MOST_DOTS)
        own_colour = colour if len(colours) > 1 else MUTED
        axes.scatter([x for x, _ in own], [y for _, y in own], s=5, color=own_colour, alpha=0.5, linewidth=0, zorder=2)
    line = [(point.step, value) for point in trace if math.isfinite(value := getattr(point, reading))]
    axes.plot([x for x, _ in line], [y for _, y in line], color=INK, linewidth=1.2, zorder=3)
    plain_axis(axes.yaxis, log=is_ratio)
    if not is_ratio:
        note(axes, "line: mean over the seeds; dots: at an entry")


def _dots(log: StoredLog, reading: _Reading) -> list[tuple[int, float, int]]:
    """Return (step, value, branch) of the entries whose reading is known and finite."""
    found = [(entry.step, getattr(entry, reading), entry.branch) for entry in log.entries]
    return [dot for dot in found if dot[1] is not None and math.isfinite(dot[1])]
