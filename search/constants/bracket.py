"""Proposes the next constant: a fixed design, then points near the best one and points that may be better."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from search.constants.acquisition import knowledge_gradient
from search.constants.points import Array, ConstantPoint, ConstantScore, SurfaceDomain
from search.constants.surface import CLOSE, Surface, fit_surface, gaps, labels_line
from search.constants.weights import unwarp, warp
from search.propose import even_points, seed_of
from search.settings import Interval, ends

DESIGN = (0.45, 0.0, 1.0, 0.15, 0.85, 0.35, 0.65, 0.05, 0.95, 0.25, 0.75, 0.55)
"""The λ of the first points. No two neighbours are more than 0.1 apart, so that no peak of that width is missed. Both
ends have a neighbour at 0.05, where accuracy changes fastest."""
ALONE = 6
"""The most learning rates at which the labels alone are tried."""
_LINE, _EVEN, _NEAR = 65, 64, 48
"""Numbers of candidates: on the line of λ through the best point, spread evenly, and near the best point."""
_STEPS = (0.08, 0.2)


@dataclasses.dataclass(frozen=True)
class Enough:
    """The best constant is known well enough, so no further one is tried."""


def next_point(
    domain: SurfaceDomain,
    seed: int,
    index: int,
    observed: Sequence[ConstantScore | None],
    pending: Sequence[ConstantPoint] = (),
) -> ConstantPoint | Enough:
    """Propose the constant of a place in the sequence; the same arguments give the same point, to the last bit.

    Args:
        domain: the ranges that are searched for the best constant.
        seed: of the search and student.
        index: the place, from 0.
        observed: the results of the first places, in their order; None for one that failed.
        pending: the points of the places between `observed` and this one.
    """
    design = first_points(domain, seed)
    if index < len(design):
        return design[index]
    surface = fit_surface(observed, domain)
    if surface is None:
        return domain.decode(np.random.default_rng((seed, index)).random(domain.axes).tolist())
    tried = [*(entry.point for entry in surface.observed), *pending]
    ahead = fit_surface(observed, domain, pending) if pending else surface
    assert ahead is not None
    is_best_known = surface.certificate.enough or (domain.axes == 1 and not isinstance(domain.weight, Interval))
    alone = _labels_alone(surface, ahead, tried) if is_best_known or index % 3 == 0 else None
    if is_best_known or alone is not None:
        return alone or Enough()
    between = _between(surface, tried)
    is_known_but_for_neighbours = surface.certificate.expected_loss <= surface.certificate.allowed_loss
    if between is not None and (index % 2 == 0 or is_known_but_for_neighbours):
        return between
    random = np.random.default_rng((seed, index))
    return _improving(ahead, tried, random) or between or Enough()


def first_points(domain: SurfaceDomain, seed: int) -> tuple[ConstantPoint, ...]:
    """Return the points that need no result: common practice first, then λ over the whole range at spread settings."""
    if isinstance(domain.weight, Interval):
        low, high = domain.weight.low, domain.weight.high
        weights = [weight for weight in (*DESIGN, low, high) if low <= weight <= high]
        weights += [unwarp(place) for place in np.linspace(warp(low), warp(high), 5)[1:-1]] if len(weights) < 7 else []
        weights = list(dict.fromkeys(map(domain.nearest_weight, weights)))
    else:
        weights = [float(weight) for weight in ends(domain.weight)]
    settings = even_points(len(domain.settings), len(weights), seed_of(seed, "constants") % 2**31)
    points = [domain.decode([warp(w), *place]) for w, place in zip(weights, settings, strict=True)]
    home = [] if domain.home is None else [domain.home]
    return tuple(dict.fromkeys([*home, *points]))


def _between(surface: Surface, tried: Sequence[ConstantPoint]) -> ConstantPoint | None:
    """Return the middle between the best λ and its farther neighbour, at the best settings; None if both are close."""
    domain = surface.domain
    places, best = np.array([domain.encode(point) for point in tried]), domain.encode(surface.chosen)
    below, above = gaps(domain, places, best)
    if max(below, above) <= CLOSE:
        return None
    low, high = domain.limits
    if below >= above:
        place = max(best[0] - max(min(below, best[0] - low) / 2.0, CLOSE * 0.8), low)
    else:
        place = min(best[0] + max(min(above, high - best[0]) / 2.0, CLOSE * 0.8), high)
    point = domain.moved(surface.chosen, domain.nearest_weight(unwarp(place)))
    return None if point in tried else point


def _labels_alone(surface: Surface, ahead: Surface, tried: Sequence[ConstantPoint]) -> ConstantPoint | None:
    """Propose a learning rate for λ = 0, whose best is what distillation is compared with; None if it is known."""
    domain = surface.domain
    known = [point for point in tried if point.weight == 0.0]
    if surface.certificate.knows_labels_alone or len(known) >= ALONE:
        return None
    points = _untried(domain, labels_line(domain), tried)
    return _most_gaining(ahead, points, known) if known or not points else points[len(points) // 2]


def _improving(surface: Surface, tried: Sequence[ConstantPoint], random: np.random.Generator) -> ConstantPoint | None:
    """Return the untried point that is expected to raise the chosen one's score most."""
    domain = surface.domain
    points = _untried(domain, _candidates(domain, domain.encode(surface.chosen), random), tried)
    return _most_gaining(surface, points, [entry.point for entry in surface.observed])


def _untried(domain: SurfaceDomain, places: Array, tried: Sequence[ConstantPoint]) -> list[ConstantPoint]:
    points = dict.fromkeys(domain.decode(place.tolist()) for place in places)
    return [point for point in points if point not in tried]


def _most_gaining(
    surface: Surface, points: Sequence[ConstantPoint], tried: Sequence[ConstantPoint]
) -> ConstantPoint | None:
    """Return the point that is expected to raise the best of the tried ones most; None if there is no point."""
    if not points:
        return None
    ours, theirs = (np.array([surface.domain.encode(point) for point in some]) for some in (points, tried))
    seeds = float(np.median([len(entry.scores) for entry in surface.observed]))
    return points[int(np.argmax(knowledge_gradient(surface.posterior, theirs, ours, seeds)))]


def _candidates(domain: SurfaceDomain, best: Array, random: np.random.Generator) -> Array:
    low, high = domain.limits
    line = np.repeat(best[None], _LINE, axis=0)
    line[:, 0] = np.linspace(low, high, _LINE)
    if domain.axes == 1:
        return line
    even = even_points(domain.axes, _EVEN, random)
    even[:, 0] = low + even[:, 0] * (high - low)
    steps = random.normal(size=(_NEAR, domain.axes)) * np.resize(_STEPS, _NEAR)[:, None]
    near = np.clip(best + steps, 0.0, 1.0)
    found: Array = np.concatenate([even, near, line[::4]])
    return found
