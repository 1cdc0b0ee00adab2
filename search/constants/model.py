"""A Gaussian process over the constant's surface, averaged over its length scales and its height over the noise.

Shapes: N points, P pending ones, D axes, K kept draws, M places.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from scipy.special import ndtri

from search.constants.points import Array
from search.propose import even_points, matern

DRAWS = {1: 64, 2: 128, 3: 128}
"""The number of hyperparameters drawn from the prior, by the number of axes; powers of 2."""
MORE_DRAWS = 256
"""The same for more axes."""
KEPT = 16
"""The number of likeliest draws, which the surface is averaged over."""
WEIGHT_SCALE, WEIGHT_SPREAD = 0.18, 0.6
"""Median of the length scale of λ, and deviation of its logarithm, on the stretched axis from 0 to 1."""
SETTING_SCALE, SETTING_SPREAD = 1.6, 0.5
"""The same for learning rate and temperature, along which accuracy is smoother."""
HEIGHT, HEIGHT_SPREAD = 2.0, 1.2
"""The same for the surface's deviation, in deviations of one training's noise. Surfaces may be flat."""


@dataclasses.dataclass(frozen=True)
class Posterior:
    """The distribution of the scores without noise, given the observed ones."""

    points: Array  # [N + P, D]
    scales: Array  # [K, D]
    shares: Array  # [K], of the kernel in which λ and the settings are added, not multiplied
    heights: Array  # [K], variances of the surface, relative to the noise's
    weights: Array  # [K]
    variances: Array  # [K], of one training's noise
    levels: Array  # [K]
    coefficients: Array  # [K, N]
    precisions: Array  # [K, N + P, N + P]

    @property
    def noise(self) -> float:
        """The standard deviation of one training's noise."""
        return float(np.sqrt(self.weights @ self.variances))

    def means(self, places: Array) -> Array:
        """Return expected scores by draw, [K, M]."""
        observed = self.coefficients.shape[1]
        cross = _kernel(places, self.points[:observed], self.scales, self.shares)
        found: Array = self.levels[:, None] + self.heights[:, None] * np.einsum("kmn,kn->km", cross, self.coefficients)
        return found

    def mean(self, places: Array) -> Array:
        """Return expected scores, [M]."""
        found: Array = self.weights @ self.means(places)
        return found

    def joint(self, places: Array) -> tuple[Array, Array]:
        """Return means, [K, M], and covariances, [K, M, M], by draw."""
        cross = self.heights[:, None, None] * _kernel(places, self.points, self.scales, self.shares)
        weighed = cross @ self.precisions
        ones = self.precisions.sum(2)
        unexplained = 1.0 - np.einsum("kmn,kn->km", cross, ones)  # of the level, which is estimated too
        covariance = self.heights[:, None, None] * _kernel(places, places, self.scales, self.shares)
        covariance -= weighed @ np.swapaxes(cross, 1, 2)
        covariance += unexplained[:, :, None] * (unexplained / ones.sum(1)[:, None])[:, None, :]
        return self.means(places), self.variances[:, None, None] * covariance


def fit(
    places: Array,
    scores: Array,
    seeds: Array,
    *,
    within: tuple[float, int] = (0.0, 0),
    pending: Array | None = None,
) -> Posterior:
    """Average Gaussian processes with a Matérn 5/2 kernel over hyperparameters drawn from a prior.

    Each draw is weighted by the likelihood of the scores under it. The level and the noise's variance are integrated
    out under flat priors (Rasmussen and Williams 2006, sections 2.7 and 5.2). So a change of the score's unit changes
    nothing.

    Args:
        places: in the unit cube, [N, D]; N ≥ 1.
        scores: the mean score of each point over its seeds, [N].
        seeds: the number of seeds of each point, [N].
        within: what the seeds of each point alone tell of the noise: a sum of squares, and its degrees of freedom.
        pending: places whose scores are not known yet, [P, D]; the surface near them becomes less uncertain.
    """
    count, axes = places.shape
    scales, shares, heights = _draws(axes)
    covariance = heights[:, None, None] * _kernel(places, places, scales, shares)
    covariance[:, range(count), range(count)] += 1.0 / seeds
    roots = np.linalg.cholesky(covariance)
    sides = np.broadcast_to(np.stack([scores, np.ones(count)], axis=1), (len(scales), count, 2))
    whitened = np.linalg.solve(roots, sides)
    ones = np.square(whitened[..., 1]).sum(1)
    levels = (whitened[..., 0] * whitened[..., 1]).sum(1) / ones
    squares = np.square(whitened[..., 0] - levels[:, None] * whitened[..., 1]).sum(1) + within[0]
    squares = np.maximum(squares, 1e-12 * max(float(np.abs(scores).max()), 1e-6) ** 2)
    freedom = count - 1 + within[1]
    halves = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(1)
    likelihoods = -halves - 0.5 * np.log(ones) - 0.5 * freedom * np.log(squares)
    kept = np.argsort(-likelihoods, kind="stable")[:KEPT]
    weights = np.exp(likelihoods[kept] - likelihoods[kept[0]])
    scales, shares, heights, levels = scales[kept], shares[kept], heights[kept], levels[kept]
    precisions = np.asarray(np.linalg.inv(covariance[kept]), dtype=float)
    coefficients = np.einsum("kij,kj->ki", precisions, scores - levels[:, None])
    every = places
    if pending is not None and len(pending):
        every = np.concatenate([places, pending])
        whole = heights[:, None, None] * _kernel(every, every, scales, shares)
        whole[:, range(len(every)), range(len(every))] += 1.0 / np.append(
            seeds, np.full(len(pending), np.median(seeds))
        )
        precisions = np.asarray(np.linalg.inv(whole), dtype=float)
    return Posterior(
        points=every,
        scales=scales,
        shares=shares,
        heights=heights,
        weights=weights / weights.sum(),
        variances=squares[kept] / max(freedom, 1),
        levels=levels,
        coefficients=coefficients,
        precisions=precisions,
    )


def _kernel(first: Array, second: Array, scales: Array, shares: Array) -> Array:
    """Compute the Matérn 5/2 kernels of λ and of the settings, in part added, in part multiplied, [K, N, M]."""
    weight = _matern(first[:, :1], second[:, :1], scales[:, :1])
    if first.shape[1] == 1:
        return weight
    settings = _matern(first[:, 1:], second[:, 1:], scales[:, 1:])
    added = shares[:, None, None]
    mixed: Array = added * 0.5 * (weight + settings) + (1.0 - added) * weight * settings
    return mixed


def _matern(first: Array, second: Array, scales: Array) -> Array:
    one, other = first / scales[:, None, :], second / scales[:, None, :]
    squared = np.square(one).sum(2)[:, :, None] + np.square(other).sum(2)[:, None, :]
    squared -= 2.0 * one @ np.swapaxes(other, 1, 2)
    return matern(np.maximum(squared, 0.0))


@functools.cache
def _draws(axes: int) -> tuple[Array, Array, Array]:
    """Draw length scales, [H, D], added shares, [H], and surface variances, [H], spread evenly over their priors."""
    even = even_points(axes + 2, DRAWS.get(axes, MORE_DRAWS))
    normal = ndtri(np.clip(even, 1e-6, 1.0 - 1e-6))
    scales = SETTING_SCALE * np.exp(SETTING_SPREAD * normal[:, :axes])
    scales[:, 0] = WEIGHT_SCALE * np.exp(WEIGHT_SPREAD * normal[:, 0])
    return scales, even[:, axes + 1], np.square(HEIGHT * np.exp(HEIGHT_SPREAD * normal[:, axes]))
