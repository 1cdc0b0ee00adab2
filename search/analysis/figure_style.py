"""Holds what the analysis's figures share: λ as a colour, small titles, and the plane of angle and norm ratio."""

from __future__ import annotations

from typing import Any

import numpy as np

from policies.errors import PolicyError
from policies.geometry import Geometry
from policies.policy import BatchPolicy, Observation
from policies.registry import create_policy
from search.analysis.tables import Floats
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
_DECADES = (10.0, 100.0, 1000.0, 10_000.0)
_INSIDE = 0.95


def weight_colours() -> Any:
    """Return the colour map of λ in [0, 1]."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("weight", [LABELS, GRID, TEACHER])


def reach_of(record: AnalysisRecord) -> float:
    """Return the reach of the plane, a power of ten that holds nearly all probes.

    The plane shows norm ratios from 1/reach to reach.
    """
    ratios = np.array([probe.batch.norm_ratio for probe in record.probes], float)
    ratios = ratios[np.isfinite(ratios) & (ratios > 0.0)]
    furthest = np.maximum(ratios, 1.0 / ratios)
    inside = [reach for reach in _DECADES if len(ratios) == 0 or np.mean(furthest <= reach) >= _INSIDE]
    return inside[0] if inside else _DECADES[-1]


def plane(reach: float) -> tuple[Floats, Floats]:
    """Return (cosines, norm ratios) of the middles of the cells, each [CELLS, CELLS]; ratios grow with the row."""
    cosines, logs = np.meshgrid(_middles(), _middles())
    return cosines, reach**logs


def _middles() -> Floats:
    return (np.arange(CELLS) + 0.5) / CELLS * 2.0 - 1.0


def plane_axes(axes: Any, reach: float, *, left: bool = True, below: bool = True, crowded: bool = False) -> None:
    """Set up an axis of cosines and one of the norm ratio's logarithm; `left` and `below` show their numbers.

    `crowded` leaves out the number that would touch the next panel's.
    """
    axes.set_xlim(-1, 1)
    axes.set_ylim(-1, 1)
    axes.set_xticks([-1, 0, 1], ["−1", "0", "" if crowded else "1"] if below else [""] * 3)
    axes.set_yticks([-1, 0, 1], [f"{1 / reach:g}", "1", f"{reach:g}"] if left else [""] * 3)
    axes.grid(visible=False)


def above(axes: Any, words: str, *, colour: str = MUTED, size: float = 8.0) -> None:
    """Write small words above a panel."""
    axes.text(0.0, 1.03, words, transform=axes.transAxes, ha="left", va="bottom", fontsize=size, color=colour)


def probe_points(record: AnalysisRecord, reach: float) -> tuple[Floats, Floats]:
    """Return the probes in the plane: cosines, and logarithms of the ratio in the plane's units, kept inside."""
    cosines = np.array([probe.batch.cosine for probe in record.probes], float)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.array([probe.batch.norm_ratio for probe in record.probes], float)) / np.log(reach)
    return cosines, np.clip(logs, -0.98, 0.98)


def rule_in_plane(record: AnalysisRecord, reach: float) -> Floats | None:
    """Return the λ of the analysed rule for a first measurement, at each cell of `plane`.

    None if the rule needs more than the geometry, or nothing, or is not known here.
    """
    try:
        policy = create_policy(record.family, dict(record.parameters))
    except PolicyError:
        return None
    if not isinstance(policy, BatchPolicy) or policy.needs != {"geometry"}:
        return None
    weights = np.empty((CELLS, CELLS))
    for place, (cosine, ratio) in enumerate(zip(*(part.flat for part in plane(reach)), strict=True)):
        policy = create_policy(record.family, dict(record.parameters))
        assert isinstance(policy, BatchPolicy)
        seen = Observation(step=0, progress=0.0, geometry=Geometry.of(float(ratio), float(cosine)))
        weights.flat[place] = policy.decide(seen).weight
    return weights


def draw_rule(axes: Any, weights: Floats | None) -> None:
    """Draw a dashed line where the analysed rule's λ passes the middle of its range."""
    if weights is None or np.ptp(weights) < 1e-9:
        return
    middle = 0.5 * (weights.min() + weights.max())
    dash = [(0, (3, 1.6))]
    axes.contour(_middles(), _middles(), weights, levels=[middle], colors=[INK], linewidths=1.1, linestyles=dash)
