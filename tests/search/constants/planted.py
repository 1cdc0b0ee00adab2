"""Surfaces of constants whose best point is known."""

import math

import numpy as np

from search.constants import ConstantPoint, ConstantScore, Enough, SurfaceDomain, fit_surface, next_point
from search.domains import Choices, Interval

ONE = SurfaceDomain()
SEVERAL = SurfaceDomain(
    learning_rate=Interval(low=1e-3, high=0.1, log=True), temperature=Choices(choices=(2.0, 4.0, 8.0))
)


def accuracy(point):
    """Best at λ = .4, a learning rate of .02 and a temperature of 4."""
    found = 0.8 - 0.1 * (point.weight - 0.4) ** 2
    if point.learning_rate is not None:
        found -= 0.03 * math.log10(point.learning_rate / 0.02) ** 2
    if point.temperature is not None:
        found -= 0.01 * point.weight * math.log2(point.temperature / 4.0) ** 2
    return found


def scored(point, random, of=accuracy, noise=0.004, seeds=(0, 1)):
    values = of(point) + noise * random.standard_normal(len(seeds))
    return ConstantScore(point=point, scores=dict(zip(seeds, values.tolist(), strict=True)))


def search(domain, *, seed=0, of=accuracy, noise=0.004, seeds=(0, 1), most=40, lag=2):
    """All points that a search tries, with the surface at its end, and whether it had enough."""
    random, observed, points = np.random.default_rng(seed), [], []
    while len(points) < most:
        known = max(0, len(points) - lag + 1)
        point = next_point(domain, seed, len(points), observed[:known], points[known:])
        if isinstance(point, Enough):
            point = next_point(domain, seed, len(points), observed)
            if isinstance(point, Enough):
                return points, fit_surface(observed, domain), True
        points.append(point)
        observed.append(scored(point, random, of, noise, seeds))
    return points, fit_surface(observed, domain), False


def line(weights, of, noise=0.0, seeds=(0, 1), seed=0):
    """Scores of constants with one pair of settings."""
    random = np.random.default_rng(seed)
    return [scored(ConstantPoint(weight=weight), random, lambda p: of(p.weight), noise, seeds) for weight in weights]
