"""Gives each family one colour, the same in every figure.

Colours are Okabe and Ito's (Color Universal Design, 2008), which stay distinct under every common colour blindness:
cool ones for schedules, warm ones for rules that look at the gradients, grey for the constant.
"""

from __future__ import annotations

import colorsys
import dataclasses
import re

from policies.families import FAMILIES
from search.settings import CONSTANT_FAMILY

INK = "#1b1f24"
MUTED = "#667085"
GRID = "#e4e7ec"
PAGE = "#ffffff"
"""The colour behind a figure."""

_KNOWN = {
    CONSTANT_FAMILY: 0,
    "linear_schedule": 1,
    "cosine_schedule": 2,
    "step_schedule": 3,
    "cosine_threshold": 4,
    "norm_ratio_threshold": 5,
    "norm_balance": 6,
}
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
    """A line of a figure's legend; `colour` is CSS."""

    label: str
    colour: str
    dashed: bool = False
    dot: bool = False


def family_colour(family: str) -> str:
    """Return the family's colour as `#rrggbb`."""
    if family in _KNOWN:
        return _COLOURS[_KNOWN[family]]
    later = [name for name in FAMILIES if name not in _KNOWN]
    return _spare_colour(later.index(family) if family in later else sum(family.encode()))


def _spare_colour(place: int) -> str:
    """Return one of endlessly many colours: first the palette's own, then hues a golden angle apart.

    All are readable on white and on dark.
    """
    spare = _COLOURS[len(_KNOWN) :]
    if place < len(spare):
        return spare[place]
    rgb = colorsys.hls_to_rgb(place * _GOLDEN_RATIO % 1.0, 0.5, 0.4)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def css_colour(colour: str) -> str:
    """Return the colour as a CSS variable, which a dark page sets otherwise; the colour itself is the fallback."""
    return f"var(--{_VARIABLES[colour]}, {colour})" if colour in _VARIABLES else colour


def plain_colour(css: str) -> str:
    """Return the `#rrggbb` in a text that `css_colour` returned."""
    found = re.search(r"#[0-9a-f]{6}\b", css)
    assert found is not None  # `css_colour` always writes one
    return found.group()


def themed(svg: str) -> str:
    """Return the SVG with each of this palette's colours replaced by its CSS variable."""
    return re.sub(r"#[0-9a-f]{6}\b", lambda match: css_colour(match.group()), svg)
