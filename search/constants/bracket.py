"""Which constant is tried next: a fixed design, then points near the best one and points that may be better."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.stats import qmc

from search.constants.points import Array, ConstantPoint, ConstantScore, SurfaceDomain, unwarp, warp
from search.constants.surface import CLOSE, Surface, fit_surface, gaps, sampled
from search.domains import Interval, ends
from search.propose.acquisition import expected_improvement
from search.propose.seeds import seed_of

DESIGN = (0.5, 0.0, 1.0, 0.15, 0.85, 0.3, 0.7, 0.05, 0.95)
"""λ of the first points, dense at both ends, where accuracy changes fastest."""
_STEPS = (0.03, 0.1)
_NEAR = 64


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
        domain: where the best constant is looked for.
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
    if surface.certificate.enough or (domain.axes == 1 and not isinstance(domain.weight, Interval)):
        return Enough()
    tried = [*(entry.point for entry in surface.observed), *pending]
    ahead = fit_surface(observed, domain, pending) if pending else surface
    assert ahead is not None
    between = _between(surface, tried)
    if between is not None and index % 2 == 0:
        return between
    random = np.random.default_rng((seed, index))
    plausible = _plausible(ahead, tried, random) if index % 4 == 3 else None
    return plausible or _improving(ahead, tried, random) or between or Enough()


def first_points(domain: SurfaceDomain, seed: int) -> tuple[ConstantPoint, ...]:
    """The points that need no result: common practice first, then λ over the whole range at spread settings."""
    if isinstance(domain.weight, Interval):
        low, high = domain.weight.low, domain.weight.high
        weights = [weight for weight in (*DESIGN, low, high) if low <= weight <= high]
        weights += [unwarp(place) for place in np.linspace(warp(low), warp(high), 5)[1:-1]] if len(weights) < 7 else []
        weights = list(dict.fromkeys(map(domain.nearest_weight, weights)))
    else:
        weights = [float(weight) for weight in ends(domain.weight)]
    settings = np.zeros((len(weights), 0))
    if domain.settings:
        sobol = qmc.Sobol(len(domain.settings), scramble=True, rng=seed_of(seed, "constants") % 2**31)
        settings = sobol.random_base2(max(len(weights) - 1, 1).bit_length())[: len(weights)]
    points = [domain.decode([warp(w), *place]) for w, place in zip(weights, settings, strict=True)]
    home = [] if domain.home is None else [domain.home]
    return tuple(dict.fromkeys([*home, *points]))


def _between(surface: Surface, tried: Sequence[ConstantPoint]) -> ConstantPoint | None:
    """The middle between the best λ and its further neighbour, at its settings; None where both are close."""
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
    weight = domain.nearest_weight(unwarp(place))
    point = surface.chosen.model_copy(update={"weight": weight})
    return None if point in tried else point


def _improving(surface: Surface, tried: Sequence[ConstantPoint], random: np.random.Generator) -> ConstantPoint | None:
    """The point whose score is expected to exceed the best one's most."""
    domain = surface.domain
    candidates = _candidates(domain, domain.encode(surface.chosen), random)
    points = list(dict.fromkeys(domain.decode(place.tolist()) for place in candidates))
    points = [point for point in points if point not in tried]
    if not points:
        return None
    places = np.array([domain.encode(point) for point in points])
    return points[int(np.argmax(expected_improvement(surface.posterior, places, surface.places)))]


def _plausible(surface: Surface, tried: Sequence[ConstantPoint], random: np.random.Generator) -> ConstantPoint | None:
    """The best point of one surface drawn from what is known (Thompson sampling): where a better one may hide."""
    domain = surface.domain
    grid, draws = sampled(surface.posterior, domain, surface.places, surface.best, random, 1)
    drawn = draws[random.choice(len(draws), p=surface.posterior.weights), :, 0]
    points = (domain.decode(grid[place].tolist()) for place in np.argsort(-drawn, kind="stable")[:_NEAR])
    return next((point for point in points if point not in tried), None)


def _candidates(domain: SurfaceDomain, best: Array, random: np.random.Generator) -> Array:
    low, high = domain.limits
    even = np.asarray(qmc.Sobol(domain.axes, scramble=True, rng=random).random_base2(7))
    even[:, 0] = low + even[:, 0] * (high - low)
    steps = random.normal(size=(_NEAR, domain.axes)) * np.resize(_STEPS, _NEAR)[:, None]
    near = np.clip(best + steps, 0.0, 1.0)
    line = np.repeat(best[None], 33, axis=0)
    line[:, 0] = np.linspace(low, high, 33)
    found: Array = np.concatenate([even, near, line])
    return found
