"""Holds what the analysis's figures share: λ as a colour, small titles, and the plane of angle and norm ratio."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

from policies.errors import PolicyError
from policies.geometry import Geometry
from policies.policy import BatchPolicy, Observation
from policies.registry import create_policy
from search.analysis.tables import Floats, places
from search.drawing import GRID, INK, MUTED, LegendItem
from search.records import AnalysisRecord

LABELS, TEACHER = "#0072b2", "#d55e00"
"""The colours of λ = 0 and λ = 1; the colours between them pass through `GRID`."""
SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9")
WEIGHT_LEGEND = (
    LegendItem(label="λ = 0, labels", colour=LABELS, dot=True),
    LegendItem(label="λ = ½", colour="#c3c9d2", dot=True),
    LegendItem(label="λ = 1, teacher", colour=TEACHER, dot=True),
)
CELLS = 61
MIDDLES = (np.arange(CELLS) + 0.5) / CELLS * 2.0 - 1.0
_DECADES = (10.0, 100.0, 1000.0, 10_000.0)
_INSIDE = 0.95


def weight_colours() -> Any:
    """Return the colour map of λ in [0, 1]."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("weight", [LABELS, GRID, TEACHER])


def three_ticks(axis: Any, places: tuple[float, ...], labels: tuple[str, ...], *, shown: bool) -> None:
    """Set the ticks of an axis; its labels are left out unless `shown`."""
    axis.set_ticks(places, labels if shown else [""] * len(places))


def weight_dots(axes: Any, x: Any, y: Any, weights: Any, *, s: float, linewidth: float) -> None:
    """Draw dots of area `s` that are coloured by their λ."""
    axes.scatter(x, y, c=weights, cmap=weight_colours(), vmin=0, vmax=1, s=s, linewidth=linewidth, edgecolor=INK)


def above(axes: Any, words: str, *, colour: str = MUTED, size: float = 8.0) -> None:
    """Write small words above a panel."""
    axes.text(0.0, 1.03, words, transform=axes.transAxes, ha="left", va="bottom", fontsize=size, color=colour)


@dataclasses.dataclass(frozen=True)
class Plane:
    """The plane of cosine and norm ratio, with the probes of an analysis and the rule that it is about.

    The vertical axis is the ratio's logarithm, in units in which the plane reaches from -1 to 1.
    """

    record: AnalysisRecord

    @functools.cached_property
    def reach(self) -> float:
        """The plane shows norm ratios from 1/reach to reach, a power of ten; nearly all probes lie inside."""
        ratios = np.array([probe.batch.norm_ratio for probe in self.record.probes], float)
        ratios = ratios[np.isfinite(ratios) & (ratios > 0.0)]
        furthest = np.maximum(ratios, 1.0 / ratios)
        inside = [reach for reach in _DECADES if len(ratios) == 0 or np.mean(furthest <= reach) >= _INSIDE]
        return inside[0] if inside else _DECADES[-1]

    @property
    def cells(self) -> tuple[Floats, Floats]:
        """Cosines and norm ratios of the middles of the cells, each [CELLS, CELLS]; ratios grow with the row."""
        cosines, logs = np.meshgrid(MIDDLES, MIDDLES)
        return cosines, self.reach**logs

    @property
    def probes(self) -> tuple[Floats, Floats]:
        """The probes' places: cosines, and logarithms of the ratio, kept inside."""
        found = places(self.record)
        return found.cosine, np.clip(found.log_ratio / np.log(self.reach), -0.98, 0.98)

    @functools.cached_property
    def rule(self) -> Floats | None:
        """λ of the analysed rule for a first measurement, at each of the `cells`.

        None if the rule needs more than the geometry, or nothing, or is not known here.
        """
        try:
            policy = create_policy(self.record.family, dict(self.record.parameters))
        except PolicyError:
            return None
        if not isinstance(policy, BatchPolicy) or policy.needs != {"geometry"}:
            return None
        weights = np.empty((CELLS, CELLS))
        for place, (cosine, ratio) in enumerate(zip(*(part.flat for part in self.cells), strict=True)):
            policy = create_policy(self.record.family, dict(self.record.parameters))
            assert isinstance(policy, BatchPolicy)
            seen = Observation(step=0, progress=0.0, geometry=Geometry.of(float(ratio), float(cosine)))
            weights.flat[place] = policy.decide(seen).weight
        return weights

    def draw(self, axes: Any, *, left: bool, below: bool = True, crowded: bool = False) -> None:
        """Set up the axes of a panel, and draw a dashed line where the rule's λ passes the middle of its range.

        `left` and `below` show the axes' numbers; `crowded` leaves out the one that would touch the next panel's.
        """
        axes.set_xlim(-1, 1)
        axes.set_ylim(-1, 1)
        three_ticks(axes.xaxis, (-1, 0, 1), ("−1", "0", "" if crowded else "1"), shown=below)
        three_ticks(axes.yaxis, (-1, 0, 1), (f"{1 / self.reach:g}", "1", f"{self.reach:g}"), shown=left)
        axes.grid(visible=False)
        if self.rule is not None and np.ptp(self.rule) >= 1e-9:
            middle, dash = 0.5 * (self.rule.min() + self.rule.max()), [(0, (3, 1.6))]
            axes.contour(MIDDLES, MIDDLES, self.rule, levels=[middle], colors=[INK], linewidths=1.1, linestyles=dash)
