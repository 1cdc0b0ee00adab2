"""From matplotlib's objects to SVG that can stand in a page: small, themed, without an id twice.

Matplotlib is imported here, on first use, and nowhere else: the command line must not pay for it at start. Figures are
320 units wide, so that 9-unit text is readable on a phone, where the page shows them about 330 pixels wide.
"""

from __future__ import annotations

import contextlib
import dataclasses
import html
import io
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from search.report.palette import GRID, INK, MUTED, LegendItem, themed
from search.scale import Scale

WIDTH = 320
_UNITS_PER_INCH = 72

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawn figure. `title` is the question that it answers; `caption` tells how to read it."""

    name: str
    title: str
    caption: str
    svg: str
    legend: tuple[LegendItem, ...] = ()


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The report's look; figures must be made and rendered inside."""
    import matplotlib

    settings: dict[str, Any] = {
        "font.family": ["DejaVu Sans"],
        "font.size": 9,
        "axes.labelsize": 9,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": MUTED,
        "axes.linewidth": 0.6,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.titlesize": 9,
        "axes.unicode_minus": True,
        "grid.color": GRID,
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.6,
        "lines.solid_capstyle": "round",
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelsize": 8.5,
        "ytick.labelsize": 8.5,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "text.color": INK,
        # A family's name is data: "$" in it must not start a formula.
        "text.parse_math": False,
        "svg.fonttype": "none",
        "svg.hashsalt": "kd-search",
    }
    with matplotlib.rc_context(settings):
        yield


def new_figure(
    height: float,
    *,
    rows: int = 1,
    columns: int = 1,
    left: float = 40,
    right: float = 10,
    bottom: float = 32,
    top: float = 10,
    gap: tuple[float, float] = (30, 30),
) -> tuple[Any, list[Any]]:
    """A figure and its axes, row by row. All lengths are in units; `gap` is (between columns, between rows).

    Margins are given rather than found: a layout engine would double the time that the report takes.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as MatplotlibFigure

    figure = MatplotlibFigure(figsize=(WIDTH / _UNITS_PER_INCH, height / _UNITS_PER_INCH))
    FigureCanvasSVG(figure)
    across = (WIDTH - left - right - gap[0] * (columns - 1)) / columns
    down = (height - top - bottom - gap[1] * (rows - 1)) / rows
    axes = [
        figure.add_axes(
            (
                (left + column * (across + gap[0])) / WIDTH,
                (bottom + (rows - 1 - row) * (down + gap[1])) / height,
                across / WIDTH,
                down / height,
            )
        )
        for row, column in itertools.product(range(rows), range(columns))
    ]
    return figure, axes


def to_svg(figure: Any, name: str, description: str) -> str:
    """The figure as an SVG element for a page that holds others too. Same figure, same text."""
    out = io.BytesIO()
    nothing = {"Creator": None, "Date": None, "Format": None, "Type": None}
    figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    svg = out.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    # Two figures in one page must not share an id: a clip path would cut the other's curves.
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    # Coordinates to a hundredth of a unit; what is written as text stays as it is.
    svg = re.sub(r"(<text.*?</text>)|(\.\d\d)\d+", lambda m: m.group(1) or m.group(2), svg, flags=re.DOTALL)
    # The page's own font; matplotlib has laid the text out in DejaVu Sans, which is wider than most.
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None  # matplotlib always writes one
    label = html.escape(description, quote=True)
    opening = (
        f'<svg class="plot" role="img" aria-label="{label}" {view.group()} xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return themed(opening + svg[svg.index(">") + 1 :]).strip()


def percent_axis(axis: Any, low: float, high: float, *, ticks: int = 5) -> None:
    """Accuracies in [0, 1] shown in percent, from `low` to `high`, with round ticks."""
    _round_axis(axis, low, high, lambda value: 100 * value, ticks)


def score_axis(axis: Any, low: float, high: float, scale: Scale, *, ticks: int = 5) -> None:
    """Scores from `low` to `high` shown as the values that they stand for; better ones are further out."""
    if scale.is_accuracy:
        percent_axis(axis, low, high, ticks=ticks)
    else:
        _round_axis(axis, low, high, scale.objective.value, ticks)


def score_label(scale: Scale, *, short: bool = False) -> str:
    """What is written along an axis of scores."""
    if scale.is_accuracy:
        return "accuracy, %" if short else "validation accuracy, %"
    return scale.objective.name if short else scale.on("validation")


def _round_axis(axis: Any, low: float, high: float, shown: Callable[[float], float], ticks: int) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{shown(value) + 0.0:.4g}".replace("-", "−")))
    axis.set_view_interval(low, high, ignore=True)


def plain_axis(axis: Any, *, log: bool = False, ticks: int = 4) -> None:
    """Few round ticks as plain numbers; `0.001`, not a power of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

    if log:
        axis.set_major_locator(LogLocator(base=10, subs=(1.0,)))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        low, high = axis.get_view_interval()
        inside = [t for t in axis.get_major_locator().tick_values(low, high) if low <= t <= high]
        if len(inside) < 2:
            axis.set_major_locator(LogLocator(base=10, subs=(1.0, 3.0)))
    else:
        axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.4g}".replace("-", "−")))


def focus(scores: Sequence[float], best: Sequence[float], scale: Scale) -> tuple[float, float]:
    """Limits of an axis of scores that show how the good trials differ.

    One trial that learned nothing must not squeeze all others together, so the axis starts no further below the worst
    of `best` than three times the distance from the median to the highest score (of accuracies, at least one point).
    """
    ordered = sorted(scores)
    median = ordered[len(ordered) // 2]
    high = max(*ordered, *best)
    least = 0.01 if scale.is_accuracy else 0.01 * max(abs(high), abs(median)) or 0.01
    reach = max(least, 3 * (high - median))
    low = max(ordered[0], min(*best, median) - reach)
    margin = 0.06 * max(high - low, least)
    if not scale.is_accuracy:
        return low - margin, high + margin
    return max(-0.02, low - margin), min(1.02, high + margin)


def thinned(values: Sequence[T], most: int) -> Sequence[T]:
    """At most about `most` values, evenly spaced, the last among them: more would only make the page heavy."""
    if len(values) <= most:
        return values
    step = -(-len(values) // most)
    kept = list(values[::step])
    return kept if (len(values) - 1) % step == 0 else [*kept, values[-1]]


def jitter(count: int) -> list[float]:
    """Offsets in [-1, 1] that spread points evenly without chance (a golden-ratio sequence)."""
    return [2 * ((0.5 + i * 0.6180339887498949) % 1.0) - 1 for i in range(count)]
