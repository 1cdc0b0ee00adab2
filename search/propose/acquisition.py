"""Finds where the next trial is expected to improve most."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from search.propose.cube import Array, Cube
from search.propose.gaussian import Posterior
from search.propose.gaussian_parts import even_points

EVEN = 256
"""The number of candidates spread evenly over the cube, a power of 2."""
NEAR = 128
"""The number of candidates near the points that are believed best."""
STEPS = (0.05, 0.15)
"""Standard deviations of the steps away from a centre."""


def expected_improvement(posterior: Posterior, points: Array, incumbents: Array) -> Array:
    """Compute the mean of max(0, score − best), [M], where `best` is the highest mean among the incumbents.

    Scores are without noise, so that a lucky trial does not attract proposals. Source: Jones et al. 1998, eq. 15,
    averaged over the posterior's draws.
    """
    best = posterior.at(incumbents)[0].max(1, keepdims=True)
    mean, deviation = posterior.at(points)
    z = (mean - best) / deviation
    improvement: Array = posterior.weights @ (deviation * (z * norm.cdf(z) + norm.pdf(z)))
    return improvement


def candidates(cube: Cube, centres: Array, random: np.random.Generator) -> Array:
    """Draw positions to compare: some spread evenly over a cube, some near the centres.

    Args:
        cube: the parameters that are proposed.
        centres: positions, [C, axes].
        random: the source of randomness.

    Returns:
        [M, axes], on the grid where an axis is discrete.
    """
    even = even_points(len(cube.axes), EVEN, random)
    chosen = centres[np.arange(NEAR) % len(centres)]
    steps = np.resize(np.repeat(STEPS, len(centres)), NEAR)[:, None]
    moved = np.abs(chosen + steps * random.normal(size=chosen.shape))
    near = np.clip(np.where(moved > 1.0, 2.0 - moved, moved), 0.0, 1.0)  # reflected at the ends
    elsewhere, jumps = random.random(chosen.shape), random.random(chosen.shape)
    for place, axis in enumerate(cube.axes):
        if axis.nominal:
            near[:, place] = chosen[:, place]  # options have no neighbours
        if axis.cells is not None:
            jump = jumps[:, place] < 0.5 / len(cube.axes)
            near[jump, place] = elsewhere[jump, place]
    return cube.snap(np.concatenate([even, near]))
