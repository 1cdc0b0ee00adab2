"""Describes the ways in which a rule can read gradients along a training, and what each of them reads."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from noise.trainings import Course, Geometries
from policies.geometric import log_ratio
from policies.geometry import UNKNOWN, Geometry
from policies.smoothing import RunningMean

EVERY = (1, 3, 10)
SMOOTHING = (0.0, 0.9, 0.97)


class Estimator(NamedTuple):
    """A place and samples (`way`), the numbers that are averaged, and how often and how long.

    `products` tells that the three products are averaged, and cosine and norm ratio taken of their means. Rules average
    the cosine and the logarithm of the norm ratio themselves.
    """

    way: str
    products: bool
    every: int
    smoothing: float

    def __str__(self) -> str:
        mean = ", products" if self.products else ""
        return f"{self.way}{mean}, every {self.every}, smoothing {self.smoothing:g}"


def estimators(ways: list[str]) -> list[Estimator]:
    """List those that differ; without smoothing both kinds of mean are one, and unbiased norms may be negative."""
    found = [
        Estimator(way, products, every, smoothing)
        for way in ways
        for products in (False, True)
        for every in EVERY
        for smoothing in SMOOTHING
    ]
    return [e for e in found if (e.smoothing > 0.0 if e.products else "unbiased" not in e.way)]


def read(course: Course, estimator: Estimator) -> list[Geometry]:
    """Return the smoothed geometry after each measurement; unknown where a squared length is not positive."""
    measured = course.ways[estimator.way][:: estimator.every]
    if estimator.products:
        return geometries(_smoothed(measured, estimator.smoothing))
    pairs = np.array([(log_ratio(one), one.cosine) for one in geometries(measured)])
    return [Geometry.of(math.exp(ratio), cosine) for ratio, cosine in _smoothed(pairs, estimator.smoothing).tolist()]


def geometries(rows: Geometries) -> list[Geometry]:
    """Return rows of three products as geometries."""
    return [Geometry(*row) if row[0] > 0.0 and row[1] > 0.0 else UNKNOWN for row in rows.tolist()]


def _smoothed(rows: Geometries, smoothing: float) -> Geometries:
    means = [RunningMean(smoothing) for _ in rows[0]]
    return np.array([[mean.update(value) for mean, value in zip(means, row, strict=True)] for row in rows.tolist()])
