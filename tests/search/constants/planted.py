"""Surfaces of constants whose best point is known."""

import math

import numpy as np

from benchmarks.constant_procedures import proposed
from search.constants import ConstantPoint, ConstantScore, SurfaceDomain, fit_surface
from search.settings.domains import Choices, Interval

ONE = SurfaceDomain()
SEVERAL = SurfaceDomain(
    learning_rate=Interval(low=1e-3, high=0.1, log=True), temperature=Choices(choices=(2.0, 4.0, 8.0))
)

FOUR = SEVERAL.model_copy(update={"options": {"hint_weight": Interval(low=0.1, high=10.0, log=True)}})


def accuracy(point):
    """Return an accuracy that is best at λ = .4, learning rate .02, temperature 4 and a hint's weight of 2."""
    found = 0.8 - 0.1 * (point.weight - 0.4) ** 2
    if point.learning_rate is not None:
        found -= 0.03 * math.log10(point.learning_rate / 0.02) ** 2
    if point.temperature is not None:
        found -= 0.01 * point.weight * math.log2(point.temperature / 4.0) ** 2
    for _, hint_weight in point.options:
        found -= 0.01 * point.weight * math.log10(hint_weight / 2.0) ** 2
    return found


def scored(point, random, of=accuracy, noise=0.004, seeds=(0, 1)):
    values = of(point) + noise * random.standard_normal(len(seeds))
    return ConstantScore(point=point, scores=dict(zip(seeds, values.tolist(), strict=True)))


def search(domain, *, seed=0, of=accuracy, noise=0.004, seeds=(0, 1), most=40, lag=2):
    """Return all points that a search tries, the surface at its end, and whether it had enough."""
    random = np.random.default_rng(seed)
    observed, enough = proposed(domain, seed, lambda point: scored(point, random, of, noise, seeds), most, lag)
    return [entry.point for entry in observed], fit_surface(observed, domain), enough


def line(weights, of, noise=0.0, seeds=(0, 1), seed=0):
    """Return scores of constants with one pair of settings."""
    random = np.random.default_rng(seed)
    return [scored(ConstantPoint(weight=weight), random, lambda p: of(p.weight), noise, seeds) for weight in weights]
