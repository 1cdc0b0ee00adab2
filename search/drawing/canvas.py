"""Turns matplotlib's figures into files, and into SVG for a page: small, themed, without an id twice.

Matplotlib is imported on first use: the command line must not load it at start. Figures are 320 units wide, so that
9-unit text is readable on a phone, where the page shows them about 330 pixels wide.
"""

from __future__ import annotations

import dataclasses
import html
import io
import itertools
import re
import textwrap
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from search.drawing.palette import GRID, INK, MUTED, LegendItem, themed
from search.drawing.tables import Table
from search.wording import Scale

WIDTH = 320
_UNITS_PER_INCH = 72
_DOTS_AN_INCH = 200
_NO_METADATA = {"Creator": None, "Date": None, "Format": None, "Type": None}
"""The metadata that is left out, so that the same figure gives the same text."""
_NOTEBOOK_WIDTH = 480
"""The width of a figure in a notebook, in CSS pixels."""
_TITLE_LETTERS, _TITLE_LINE = 52, 13
_LETTER, _LEGEND_LINE = 4.9, 14

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawn figure.

    `title` is the question that it answers, `finding` what it shows here, `caption` how to read it. `svg` is for the
    page, which adds title and legend. `files` are complete figures by suffix (`svg`, `png`), `table` the numbers behind
    it.
    """

    name: str
    title: str
    caption: str
    svg: str = dataclasses.field(repr=False)
    finding: str = ""
    legend: tuple[LegendItem, ...] = ()
    table: Table = dataclasses.field(default_factory=Table, repr=False)
    files: dict[str, bytes] = dataclasses.field(default_factory=dict, repr=False)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
        """Show the figure where a notebook's cell ends with it."""
        return (self.files["png"], {"width": _NOTEBOOK_WIDTH}) if "png" in self.files else None


def finish(
    figure: Any,
    *,
    name: str,
    title: str,
    caption: str,
    finding: str = "",
    legend: tuple[LegendItem, ...] = (),
    table: Table | None = None,
) -> Figure:
    """Return what is drawn, for the page and as files.

    Must be called inside `style`, once for a matplotlib figure.
    """
    description = f"{title} {finding}".strip()
    return Figure(
        name=name,
        title=title,
        caption=caption,
        svg=to_svg(figure, name, description),
        finding=finding,
        legend=legend,
        table=table or Table(),
        files=_files(figure, title, legend),
    )


def style() -> AbstractContextManager[None]:
    """Apply the report's look; figures must be made and rendered inside."""
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
    context: AbstractContextManager[None] = matplotlib.rc_context(settings)
    return context


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
    """Return a figure and its axes, row by row.

    All lengths are in units; `gap` is (between columns, between rows). Margins are arguments: a layout engine would
    double the time that the report takes.
    """
    from matplotlib.figure import Figure as MatplotlibFigure

    figure = MatplotlibFigure(figsize=(WIDTH / _UNITS_PER_INCH, height / _UNITS_PER_INCH))
    across = (WIDTH - left - right - gap[0] * (columns - 1)) / columns
    down = (height - top - bottom - gap[1] * (rows - 1)) / rows
    axes = []
    for row, column in itertools.product(range(rows), range(columns)):
        x, y = left + column * (across + gap[0]), bottom + (rows - 1 - row) * (down + gap[1])
        axes.append(figure.add_axes((x / WIDTH, y / height, across / WIDTH, down / height)))
    return figure, axes


def to_svg(figure: Any, name: str, description: str) -> str:
    """Return the figure as an SVG element for a page that holds others too. The same figure gives the same text."""
    out = io.BytesIO()
    figure.savefig(out, format="svg", transparent=True, metadata=_NO_METADATA)
    svg = out.getvalue().decode("utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    # Two figures in one page must not share an id: a clip path would cut the other's curves.
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    # Coordinates are cut to a hundredth of a unit; text is not changed.
    svg = re.sub(r"(<text.*?</text>)|(\.\d\d)\d+", lambda m: m.group(1) or m.group(2), svg, flags=re.DOTALL)
    # The page's own font is used; matplotlib laid the text out in DejaVu Sans, which is wider than most.
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)
    view = re.search(r'viewBox="[^"]*"', svg)
    assert view is not None  # matplotlib always writes one
    label = html.escape(description, quote=True)
    opening = (
        f'<svg class="plot" role="img" aria-label="{label}" {view.group()} xmlns:xlink="http://www.w3.org/1999/xlink">'
    )
    return themed(opening + svg[svg.index(">") + 1 :]).strip()


def _files(figure: Any, title: str, legend: tuple[LegendItem, ...]) -> dict[str, bytes]:
    """Return the figure with its title and legend, which the page writes itself, as SVG and PNG on white."""
    from matplotlib.transforms import Bbox

    width, height = figure.get_size_inches()
    inch = 1 / _UNITS_PER_INCH
    lines = textwrap.wrap(title, _TITLE_LETTERS)
    for place, line in enumerate(reversed(lines)):
        figure.text(8 / WIDTH, 1 + (6 + _TITLE_LINE * place) * inch / height, line, weight="bold")
    above = (_TITLE_LINE * len(lines) + 8) * inch
    below = _draw_legend(figure, legend) * inch + 0.08
    box = Bbox([[0, -below], [width, height + above]])
    files = {}
    for kind, metadata in (("svg", _NO_METADATA), ("png", {"Software": None})):
        out = io.BytesIO()
        figure.savefig(out, format=kind, dpi=_DOTS_AN_INCH, facecolor="white", bbox_inches=box, metadata=metadata)
        files[kind] = out.getvalue()
    files["svg"] = re.sub(
        rb"font-family: 'DejaVu Sans'", b"font-family: 'DejaVu Sans', Verdana, sans-serif", files["svg"]
    )
    return files


def _draw_legend(figure: Any, legend: tuple[LegendItem, ...]) -> float:
    """Draw items below the figure, as many side by side as fit; return their height in units."""
    from matplotlib.lines import Line2D

    height = figure.get_size_inches()[1] * _UNITS_PER_INCH
    x, y = 8.0, 0.0
    for place, item in enumerate(legend):
        across = 24 + _LETTER * len(item.label)
        if place == 0 or x + across > WIDTH:
            x, y = 8.0, y + _LEGEND_LINE
        at = [x + 7] if item.dot else [x, x + 14]
        line = Line2D(
            [value / WIDTH for value in at],
            [(5 - y) / height] * len(at),
            color=item.colour,
            linestyle=(0, (3, 1.6)) if item.dashed else "-",
            marker="o" if item.dot else "",
            markersize=5,
            transform=figure.transFigure,
        )
        figure.add_artist(line)
        figure.text((x + 18) / WIDTH, (5 - y) / height, item.label, fontsize=8, va="center")
        x += across
    return y


def score_axis(axis: Any, low: float, high: float, scale: Scale, *, ticks: int = 5) -> None:
    """Show scores from `low` to `high` as the values that they stand for; better ones are further out.

    Accuracies are shown in percent. The ticks are round.
    """
    factor = 100.0 if scale.is_accuracy else 1.0
    _round_axis(axis, low, high, lambda value: factor * scale.objective.value(value), ticks)


def difference_axis(axis: Any, low: float, high: float, scale: Scale) -> None:
    """Show differences of scores from `low` to `high`: of accuracies in points, of a KPI as they are."""
    factor = 100.0 if scale.is_accuracy else 1.0
    _round_axis(axis, low, high, lambda value: factor * value, ticks=5)


def score_label(scale: Scale, *, short: bool = False) -> str:
    """Return the label of an axis of scores."""
    if scale.is_accuracy:
        return "accuracy, %" if short else "validation accuracy, %"
    return scale.objective.name if short else scale.on("validation")


def _round_axis(axis: Any, low: float, high: float, shown: Callable[[float], float], ticks: int) -> None:
    _round_ticks(axis, ticks, shown)
    axis.set_view_interval(low, high, ignore=True)


def _round_ticks(axis: Any, ticks: int, shown: Callable[[float], float] = float) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{shown(value) + 0.0:.4g}".replace("-", "−")))


def plain_axis(axis: Any, *, log: bool = False, ticks: int = 4) -> None:
    """Show few round ticks as plain numbers; `0.001`, not a power of ten."""
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

    _round_ticks(axis, ticks)
    if log:
        axis.set_major_locator(LogLocator(base=10, subs=(1.0,)))
        axis.set_minor_locator(NullLocator())
        axis.set_minor_formatter(NullFormatter())
        low, high = axis.get_view_interval()
        inside = [t for t in axis.get_major_locator().tick_values(low, high) if low <= t <= high]
        if len(inside) < 2:
            axis.set_major_locator(LogLocator(base=10, subs=(1.0, 3.0)))


def epoch_axis(axes: Any, last: float) -> None:
    """Make the horizontal axis that of epochs, from the start to `last`."""
    axes.set_xlim(0, last)
    plain_axis(axes.xaxis, ticks=6)
    axes.set_xlabel("epoch")


def focus(scores: Sequence[float], best: Sequence[float], scale: Scale) -> tuple[float, float]:
    """Return limits of an axis of scores that show how the good trials differ.

    One trial that learned nothing must not squeeze all others together. So the axis starts at most a certain distance
    below the worst of `best` and the median. This distance is three times that from the median to the highest score
    (for accuracies, at least one point).
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
    """Return about `most` values at most, evenly spaced, with the last; more would only make the page heavy."""
    if len(values) <= most:
        return values
    step = -(-len(values) // most)
    kept = list(values[::step])
    return kept if (len(values) - 1) % step == 0 else [*kept, values[-1]]


def jitter(count: int) -> list[float]:
    """Return offsets in [-1, 1] that spread points evenly without chance (a golden-ratio sequence)."""
    return [2 * ((0.5 + i * 0.6180339887498949) % 1.0) - 1 for i in range(count)]
