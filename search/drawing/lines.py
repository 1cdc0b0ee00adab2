"""Draws figures that have a line for each rule: its name and a number above its points."""

from __future__ import annotations

from typing import Any

from search.drawing.canvas import new_figure
from search.drawing.palette import GRID, INK, MUTED

DOTTED = (0, (1, 1.5))
POINTS = 0.2
"""The distance of a line's points from its middle; its words lie as far above."""
_WORDS = 0.22
_HEIGHT, _AXIS = 34, 34


def new_lines(count: int, *, top: float) -> tuple[Any, Any]:
    """Return a figure and axes with room for `count` lines at 0, 1, …, the first on top, and `top` units above them.

    The vertical axis is hidden, since each line has its label.
    """
    figure, (axes,) = new_figure(count * _HEIGHT + _AXIS + top, left=8, right=8, bottom=_AXIS, top=top)
    axes.set_ylim(count - 0.45, -0.55)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    return figure, axes


def label_line(axes: Any, place: int, name: str, value: str) -> None:
    """Write a line's name on the left and its number on the right, and part it from the line before."""
    if place > 0:
        axes.axhline(place - 0.5, color=GRID, linewidth=0.7, zorder=0)
    label = {"xycoords": ("axes fraction", "data"), "fontsize": 8.5, "va": "center"}
    axes.annotate(name, (0.0, place - _WORDS), color=INK, **label)
    axes.annotate(value, (1.0, place - _WORDS), color=MUTED, ha="right", **label)


def strokes(axes: Any, x: float, count: int, dash: Any = "-") -> None:
    """Draw an upright stroke beside the points of each line, so that it crosses no words."""
    starts = [place + POINTS - 0.2 for place in range(count)]
    axes.vlines([x] * count, starts, [s + 0.4 for s in starts], color=INK, linewidth=1.0, linestyle=dash, zorder=2)


def name_above(axes: Any, x: float, words: str, limits: tuple[float, float]) -> None:
    """Write words above all lines, to the side of `x` on which there is more room between `limits`."""
    axes.annotate(
        words, (x, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 4), textcoords="offset points",
        ha="left" if x < sum(limits) / 2 else "right", fontsize=8.5, color=INK,
    )  # fmt: skip
