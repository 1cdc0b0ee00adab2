"""A Gaussian process for few and noisy trials, averaged over its hyperparameters instead of fitted to one of them."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from search.propose.cube import Array
from search.propose.gaussian_parts import even_points, matern

DRAWS = 128
"""The number of hyperparameters drawn from the prior, a power of 2."""
KEPT = 16
"""The number of likeliest draws, which predictions are averaged over."""

SCALE_MEDIAN, SCALE_SPREAD = 0.5, 1.0
"""Lognormal prior of a length scale, for one axis; the median grows with √axes (arXiv 2402.02229)."""
NOISE_MEDIAN, NOISE_SPREAD = 0.3, 1.2
"""Lognormal prior of the noise's variance, as a multiple of the signal's."""
MEAN_VARIANCE = 1.0
"""Prior variance of the mean, as a multiple of the signal's."""
SHAPE, RATE = 2.0, 1.0
"""Inverse gamma prior of the signal's variance, of scores in units of their standard deviation."""


@dataclasses.dataclass(frozen=True)
class Posterior:
    """The distribution of the scores, given the observed ones.

    Shapes: N trials, P pending ones, D axes, K kept draws, M points.
    """

    points: Array  # [N + P, D]
    nominal: NDArray[np.bool_]  # [D]
    scales: Array  # [K, D]
    weights: Array  # [K]
    variances: Array  # [K]
    coefficients: Array  # [K, N]
    inverse_roots: Array  # [K, N + P, N + P]
    location: float
    unit: float

    def at(self, points: Array) -> tuple[Array, Array]:
        """Return means and standard deviations of the score without noise, by draw, each [K, M]."""
        cross = _kernel(self.points, points, self.nominal, self.scales) + MEAN_VARIANCE  # [K, N + P, M]
        observed = self.coefficients.shape[1]
        mean = np.einsum("kn,knm->km", self.coefficients, cross[:, :observed])
        reduction = np.square(self.inverse_roots @ cross).sum(1)
        variance = self.variances[:, None] * np.maximum(1.0 + MEAN_VARIANCE - reduction, 1e-9)
        return self.location + self.unit * mean, self.unit * np.sqrt(variance)

    def mean(self, points: Array) -> Array:
        """Return the expected score without noise, [M]."""
        return self.weights @ self.at(points)[0]


def fit(
    points: Array,
    scores: Array,
    nominal: NDArray[np.bool_],
    *,
    pending: Array | None = None,
) -> Posterior:
    """Average Gaussian processes with a Matérn 5/2 kernel over hyperparameters drawn from a prior.

    Each draw is weighted by the likelihood of the scores under it. The signal's variance is integrated out (Rasmussen
    and Williams 2006, section 5.2, for the likelihood). So nothing is optimised, and few scores do not fix a length
    scale.

    Args:
        points: positions in the unit cube, [N, D]; N ≥ 1.
        scores: one for each point, [N]; higher is better.
        nominal: axes on which two different positions are 1 apart, [D].
        pending: points whose scores are not known yet, [P, D]; they make the scores near them less uncertain.
    """
    count, axes = points.shape
    pending = np.empty((0, axes)) if pending is None else pending
    every = np.concatenate([points, pending])
    location, unit = float(scores.mean()), float(scores.std()) or 1.0
    targets = (scores - location) / unit
    scales, noises = _draws(axes)

    covariance = _kernel(points, points, nominal, scales) + MEAN_VARIANCE
    covariance += noises[:, None, None] * np.eye(count)
    roots = np.linalg.cholesky(covariance)
    whitened = np.linalg.solve(roots, np.broadcast_to(targets[:, None], (len(noises), count, 1)))[..., 0]
    squares = np.square(whitened).sum(1)
    log_determinants = np.log(np.diagonal(roots, axis1=1, axis2=2)).sum(1)
    likelihoods = -log_determinants - (SHAPE + count / 2) * np.log(RATE + squares / 2)
    kept = np.argsort(-likelihoods, kind="stable")[:KEPT]
    weights = np.exp(likelihoods[kept] - likelihoods[kept[0]])

    scales, noises, roots = scales[kept], noises[kept], roots[kept]
    coefficients = np.linalg.solve(np.swapaxes(roots, 1, 2), whitened[kept][..., None])[..., 0]
    if len(pending):
        whole = _kernel(every, every, nominal, scales) + MEAN_VARIANCE + noises[:, None, None] * np.eye(len(every))
        roots = np.linalg.cholesky(whole)
    return Posterior(
        points=every,
        nominal=nominal,
        scales=scales,
        weights=weights / weights.sum(),
        variances=(RATE + squares[kept] / 2) / (SHAPE + count / 2),
        coefficients=coefficients,
        inverse_roots=np.linalg.inv(roots),
        location=location,
        unit=unit,
    )


def _kernel(first: Array, second: Array, nominal: NDArray[np.bool_], scales: Array) -> Array:
    """Compute the Matérn 5/2 kernel with a length scale for each axis, [K, N, M]."""
    apart = first[:, None, :] - second[None, :, :]
    squared = np.where(nominal, (apart != 0.0).astype(float), np.square(apart))
    count, other, axes = squared.shape
    summed = (squared.reshape(-1, axes) @ (1.0 / np.square(scales)).T).T.reshape(len(scales), count, other)
    return matern(summed)


@functools.cache
def _draws(axes: int) -> tuple[Array, Array]:
    """Draw length scales, [H, D], and noise variances, [H], spread evenly over their priors."""
    normal = ndtri(np.clip(even_points(axes + 1, DRAWS), 1e-6, 1.0 - 1e-6))
    scales = SCALE_MEDIAN * np.sqrt(axes) * np.exp(SCALE_SPREAD * normal[:, :axes])
    noises = NOISE_MEDIAN * np.exp(NOISE_SPREAD * normal[:, axes])
    return scales, noises
