"""Infers the expected scores of all arms from few seeds.

K: arms; S: seeds; N: samples; D: draws.

A score is the sum of an arm's level, an effect of its seed that all arms share, and the noise of one training. The
noise's variance is pooled over all arms, (K − 1)(S − 1) degrees of freedom, since that of one difference under three
seeds is hardly known. Where scores are means over samples, the choice of these adds a covariance between arms, as in
the two-way layout of `search.evidence.statistics.two_noises`.

The levels of the arms that use the teacher come from a common normal distribution with an unknown mean and spread,
both under flat priors (Lindley & Smith 1972; Rubin 1981, doi 10.3102/10769986006004377). So the best
of several equal arms is expected to be little better than the others, while its raw lead is the largest of several
noises. Two kinds of arms have levels with flat priors of their own: the labels alone, which are no such way, and arms
clearly behind the best, which are no rivals and would only make the spread of the rivals look large.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from search.diagnosis.record import Estimate

Floats = npt.NDArray[np.float64]

_DRAWS = 8000
_GRID = 40
_BEHIND = 3.0
"""An arm this many standard errors behind the best is no rival."""
_WIDE = 1e3
"""The standard deviation of the levels' common mean, in widths of all that was observed: as good as flat."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Posterior:
    """The arms' expected scores."""

    levels: Floats
    """Draws, [D, K]."""
    noise: float
    """Standard deviation of one training's score, without the effect of its seed."""

    @property
    def means(self) -> Floats:
        """The expected scores, [K]."""
        found: Floats = self.levels.mean(0)
        return found


def estimate(draws: Floats) -> Estimate:
    """Return the mean and the central 95 % interval of draws, [D]."""
    low, high = np.quantile(draws, (0.025, 0.975))
    return Estimate(mean=float(draws.mean()), low=float(low), high=float(high))


def infer(scores: Floats, by_sample: Floats | None = None, resolution: float = 0.0) -> Posterior:
    """Draw the arms' levels.

    Args:
        scores: [K, S], K and S at least 2; the first arm is the labels alone.
        by_sample: [K, S, N], whose means over samples are the scores, if these are known.
        resolution: the step in which scores move. Few seeds may agree by chance, so the noise is one step at least.
    """
    from scipy import stats

    arms, seeds = scores.shape
    means = scores.mean(1)
    rest = scores - means[:, None] - scores.mean(0) + scores.mean()
    freedom = (arms - 1) * (seeds - 1)
    square = max(float((rest**2).sum()) / freedom, resolution**2, 1e-30)
    of_samples = np.zeros((arms, arms)) if by_sample is None else _sample_covariance(by_sample)
    steps = (np.arange(_GRID) + 0.5) / _GRID
    squares = freedom * square / stats.chi2.ppf(steps, freedom)
    pooled = _rivals(means, square / seeds * np.eye(arms) + of_samples)
    width = float(means[pooled].std()) + float(np.sqrt(square / seeds))
    spreads = 3.0 * width * steps
    # Conditional on the two variances all is normal, so a grid of these is a mixture of normal distributions.
    scale = _WIDE * (width + float(np.ptp(means)))
    flat = scale**2 * (np.outer(pooled, pooled) + np.diag(~pooled))
    centred = means - means.mean()
    noise, spread = (of.reshape(-1, 1, 1) for of in np.meshgrid(squares, spreads))
    prior = spread**2 * np.diag(pooled) + flat
    whole = prior + noise / seeds * np.eye(arms) + of_samples
    gain = np.linalg.solve(whole, prior).transpose(0, 2, 1)
    logs = -0.5 * (np.linalg.slogdet(whole)[1] + np.linalg.solve(whole, centred[:, None])[..., 0] @ centred)
    odds = np.exp(logs - logs.max())
    generator = np.random.default_rng(0)
    drawn = generator.multinomial(_DRAWS, odds / odds.sum())
    levels = np.concatenate(
        [
            _normal(generator, gain[place] @ centred, prior[place] - gain[place] @ prior[place], int(drawn[place]))
            for place in np.flatnonzero(drawn)
        ]
    )
    return Posterior(levels=levels + means.mean(), noise=float(np.sqrt(square)))


def _rivals(means: Floats, error: Floats) -> npt.NDArray[np.bool_]:
    """Tell which arms have levels in common, [K], given the covariance of their means."""
    best = 1 + int(means[1:].argmax())
    variance = np.diag(error) + error[best, best] - 2.0 * error[best]
    found: npt.NDArray[np.bool_] = means >= means[best] - _BEHIND * np.sqrt(variance.clip(0.0))
    found[0] = False
    return found


def _normal(generator: np.random.Generator, mean: Floats, covariance: Floats, count: int) -> Floats:
    """Draw from a normal distribution, [count, K], whose covariance may be singular or negative by rounding."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    found: Floats = mean + generator.standard_normal((count, len(mean))) * np.sqrt(values.clip(0.0)) @ vectors.T
    return found


def _sample_covariance(by_sample: Floats) -> Floats:
    """Return the covariance of the arms' means, [K, K], that the choice of the samples brings, without the seeds'."""
    arms, seeds, samples = by_sample.shape
    of_samples = by_sample.mean(1)
    centred = of_samples - of_samples.mean(1, keepdims=True)
    between = centred @ centred.T / (samples - 1)
    rest = by_sample - of_samples[:, None, :] - by_sample.mean(2, keepdims=True) + by_sample.mean((1, 2))[:, None, None]
    flat = rest.reshape(arms, -1)
    within = flat @ flat.T / ((seeds - 1) * (samples - 1))
    values, vectors = np.linalg.eigh(between - within / seeds)
    found: Floats = vectors * values.clip(0.0) @ vectors.T / samples
    return found
