"""Gives each family one colour, the same in every figure.

Colours are Okabe and Ito's (Color Universal Design, 2008), which stay distinct under every common colour blindness:
cool ones for schedules, warm ones for rules that look at the gradients, grey for the constant.
"""

from __future__ import annotations

import colorsys
import dataclasses
import re
from collections.abc import Iterable

from policies.families import FAMILIES
from search.settings import CONSTANT_FAMILY
from search.wording import family_title

INK = "#1b1f24"
MUTED = "#667085"
GRID = "#e4e7ec"
PAGE = "#ffffff"
"""The colour behind a figure."""

_FIRST = (
    CONSTANT_FAMILY,
    "linear_schedule",
    "cosine_schedule",
    "step_schedule",
    "cosine_threshold",
    "norm_ratio_threshold",
    "norm_balance",
)
"""The families that have the first colours, in this order; the others follow."""
_COLOURS = (
    "#6b7280",
    "#0072b2",
    "#56b4e9",
    "#009e73",
    "#e69f00",
    "#d55e00",
    "#cc79a7",
    "#8c6d31",
    "#7b61c4",
    "#9c9e2e",
    "#7f3b2f",
)
_GOLDEN_RATIO = 0.618034
_VARIABLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    PAGE: "page",
    **{colour: f"c{i}" for i, colour in enumerate(_COLOURS)},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LegendItem:
    """A line of a figure's legend; `colour` is `#rrggbb`."""

    label: str
    colour: str
    dashed: bool = False
    dot: bool = False


def family_colour(family: str) -> str:
    """Return the family's colour as `#rrggbb`: one of the palette, or else a hue, each a golden angle from the last.

    All are readable on white and on dark.
    """
    order = list(dict.fromkeys([*_FIRST, *FAMILIES]))
    place = order.index(family) if family in order else len(_FIRST) + sum(family.encode())
    if place < len(_COLOURS):
        return _COLOURS[place]
    rgb = colorsys.hls_to_rgb((place - len(_FIRST)) * _GOLDEN_RATIO % 1.0, 0.5, 0.4)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def family_legend(families: Iterable[str]) -> tuple[LegendItem, ...]:
    """Return a dot for each family, in the order in which they first come."""
    return tuple(
        LegendItem(label=family_title(family), colour=family_colour(family), dot=True)
        for family in dict.fromkeys(families)
    )


def css_colour(colour: str) -> str:
    """Return the colour as a CSS variable, which a dark page sets otherwise; the colour itself is the fallback."""
    return f"var(--{_VARIABLES[colour]}, {colour})" if colour in _VARIABLES else colour


def themed(svg: str) -> str:
    """Return the SVG with each of this palette's colours replaced by its CSS variable."""
    return re.sub(r"#[0-9a-f]{6}\b", lambda match: css_colour(match.group()), svg)
