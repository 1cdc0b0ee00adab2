"""Draws one trial's decisions: λ, branches, and the geometry of the gradients."""

from __future__ import annotations

import dataclasses
import io
import math
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from search.drawing import GRID, INK, MUTED, new_figure, plain_axis, style, thinned
from search.errors import SearchError
from search.explain.phases import Span, spans
from trainables.records import DecisionEntry, TracePoint
from trainables.training import StoredLog

if TYPE_CHECKING:
    from search.explain.source import Source

_BRANCHES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#8c6d31")
_ALERT = "#d55e00"
_GRID_POINTS = 600
_MOST_DOTS = 600
_DOTS_AN_INCH = 220

_Array = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class FigureInfo:
    """The data of the figure. `weights` is λ by seed at the steps `grid`, [seeds, points], NaN if not known."""

    title: str
    grid: _Array
    weights: _Array
    spans: dict[int, tuple[Span, ...]]
    entries: tuple[DecisionEntry, ...]
    trace: tuple[TracePoint, ...]

    @property
    def branches(self) -> tuple[int, ...]:
        """The branches that were entered, in order of their numbers."""
        return tuple(sorted({entry.branch for entry in self.entries}))


def write_figure(source: Source) -> tuple[pathlib.Path, pathlib.Path]:
    """Draw a decision log and return the paths of the PNG and the SVG.

    Raises:
        SearchError: the files cannot be written.
    """
    drawn: dict[str, io.BytesIO] = {"png": io.BytesIO(), "svg": io.BytesIO()}
    with style():
        figure = plot_decisions(source.log, source.title, source.history.trace if source.history else ())
        for kind, out in drawn.items():
            figure.savefig(out, format=kind, dpi=_DOTS_AN_INCH, facecolor="white")
    folder, name = source.figure.parent, source.figure.name
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        png.write_bytes(drawn["png"].getvalue())
        svg.write_bytes(drawn["svg"].getvalue())
    except OSError as error:
        raise SearchError(
            f"cannot write the figure {str(source.figure)!r}: {error.strerror or error}; choose another folder with"
            " --output, or copy the decision log to a folder that you may write to."
        ) from error
    return png, svg


def plot_decisions(log: StoredLog, title: str, trace: tuple[TracePoint, ...]) -> Any:
    """Draw a decision log as a matplotlib figure. Must be called inside `drawing.style`.

    Args:
        log: the log of one trial.
        title: the text above the figure.
        trace: the trace of the same trial; empty if it is not known.
    """
    return _plot(_figure_info(log, title, trace))


def _figure_info(log: StoredLog, title: str, trace: tuple[TracePoint, ...]) -> FigureInfo:
    by_seed = {seed: tuple(spans(log, seed)) for seed in log.context.seeds}
    steps = log.context.steps
    grid = np.unique(np.linspace(0, max(steps - 1, 0), min(_GRID_POINTS, max(steps, 1))).round())
    weights = np.full((len(by_seed), len(grid)), np.nan)
    for row, of_seed in zip(weights, by_seed.values(), strict=True):
        for span in of_seed:
            row[(grid >= span.first) & (grid < span.stop)] = span.entry.weight
    return FigureInfo(
        title=title,
        grid=grid,
        weights=weights,
        spans=by_seed,
        entries=log.entries,
        trace=trace,
    )


def _plot(info: FigureInfo) -> Any:
    panels: list[tuple[Callable[[Any, FigureInfo], None], str]] = [(_plot_weight, "λ")]
    if len(info.branches) > 1:
        panels.append((_plot_branches, "seed"))
    if _known(info, lambda entry: entry.cosine, lambda point: point.cosine)[0]:
        panels += [(_plot_cosine, "cosine"), (_plot_ratio, "norm ratio")]
    figure, axes = new_figure(
        78 * len(panels) + 44, rows=len(panels), left=46, right=12, bottom=30, top=32, gap=(0, 18)
    )
    for (draw, label), panel in zip(panels, axes, strict=True):
        draw(panel, info)
        panel.set_ylabel(label)
        panel.yaxis.set_label_coords(-0.125, 0.5)
        panel.set_xlim(0, max(1.0, float(info.grid[-1])))
        plain_axis(panel.xaxis, ticks=6)
        panel.tick_params(labelbottom=panel is axes[-1])
    axes[-1].set_xlabel("step")
    axes[0].set_title(info.title, loc="left", color=INK, pad=14)
    return figure


def _plot_weight(axes: Any, info: FigureInfo) -> None:
    known = ~np.isnan(info.weights).all(axis=0)
    grid, weights = info.grid[known], info.weights[:, known]
    if len(weights) > 1:
        axes.fill_between(grid, np.nanmin(weights, 0), np.nanmax(weights, 0), step="post", color=GRID, zorder=1)
    axes.step(grid, np.nanmean(weights, 0), where="post", color=INK, linewidth=1.4, zorder=3)
    intervened = [entry for entry in info.entries if entry.intervention is not None]
    starts = [entry.step for entry in intervened]
    axes.hlines([1.07] * len(starts), starts, [e.step + e.repeats for e in intervened], color=_ALERT, linewidth=2.4)
    axes.scatter(starts, [1.07] * len(starts), marker="v", s=14, color=_ALERT, linewidth=0)
    axes.set_ylim(-0.04, 1.14 if intervened else 1.04)
    axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])
    words = "mean over the seeds, and their range" if len(weights) > 1 else ""
    words += ("; " if words else "") + "▾ the guard intervened" if intervened else ""
    if words:
        _note(axes, words)


def _plot_branches(axes: Any, info: FigureInfo) -> None:
    for row, of_seed in enumerate(info.spans.values()):
        for branch in info.branches:
            bars = [(span.first, span.length) for span in of_seed if span.entry.branch == branch]
            axes.broken_barh(bars, (row - 0.4, 0.8), facecolors=_colour(info, branch), linewidth=0)
    axes.set_ylim(len(info.spans) - 0.4, -0.6)
    axes.set_yticks(range(len(info.spans)), [str(seed) for seed in info.spans])
    axes.grid(visible=False)
    for place, branch in enumerate(reversed(info.branches)):
        _note(axes, f"■ branch {branch}", colour=_colour(info, branch), x=1.0 - 0.19 * place)


def _plot_cosine(axes: Any, info: FigureInfo) -> None:
    axes.axhline(0, color=INK, linewidth=0.6)
    _plot_readings(axes, info, lambda entry: entry.cosine, lambda point: point.cosine)
    plain_axis(axes.yaxis)
    _note(axes, "line: mean over the seeds; dots: at an entry")


def _plot_ratio(axes: Any, info: FigureInfo) -> None:
    axes.set_yscale("log")
    axes.axhline(1, color=INK, linewidth=0.6)
    _plot_readings(axes, info, lambda entry: entry.norm_ratio, lambda point: point.norm_ratio)
    plain_axis(axes.yaxis, log=True)


def _plot_readings(
    axes: Any,
    info: FigureInfo,
    of_entry: Callable[[DecisionEntry], float | None],
    of_point: Callable[[TracePoint], float],
) -> None:
    dots, line = _known(info, of_entry, of_point)
    for branch in info.branches:
        own = thinned([(step, value) for step, value, of in dots if of == branch], _MOST_DOTS)
        colour = _colour(info, branch) if len(info.branches) > 1 else MUTED
        axes.scatter([x for x, _ in own], [y for _, y in own], s=5, color=colour, alpha=0.5, linewidth=0, zorder=2)
    axes.plot([x for x, _ in line], [y for _, y in line], color=INK, linewidth=1.2, zorder=3)


def _known(
    info: FigureInfo,
    of_entry: Callable[[DecisionEntry], float | None],
    of_point: Callable[[TracePoint], float],
) -> tuple[list[tuple[int, float, int]], Sequence[tuple[int, float]]]:
    """Return (step, value, branch) of entries, and (step, value) of the trace, where the value is finite."""
    dots = [(entry.step, value, entry.branch) for entry in info.entries if (value := of_entry(entry)) is not None]
    line = [(point.step, of_point(point)) for point in info.trace]
    return [dot for dot in dots if math.isfinite(dot[1])], [point for point in line if math.isfinite(point[1])]


def _note(axes: Any, words: str, *, colour: str = MUTED, x: float = 1.0) -> None:
    """Write small words above a panel that end at `x`, a share of its width."""
    axes.text(x, 1.03, words, transform=axes.transAxes, ha="right", va="bottom", fontsize=6.5, color=colour)


def _colour(info: FigureInfo, branch: int) -> str:
    return _BRANCHES[info.branches.index(branch) % len(_BRANCHES)]
