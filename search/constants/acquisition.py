"""Computes how much one more point is expected to improve the choice of the best one."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from search.constants.model import Posterior
from search.constants.points import Array

_QUANTILES = ndtri((np.arange(8) + 0.5) / 8)


def knowledge_gradient(posterior: Posterior, tried: Array, candidates: Array, seeds: float) -> Array:
    """Compute by how much a candidate's score is expected to raise the highest expected score, [M].

    The candidate and all tried points can be chosen afterwards. Unlike expected improvement this accounts for noise:
    a point is worth trying if it is likely to change the choice. Source: Frazier, Powell and Dayanik 2009 (doi
    10.1287/ijoc.1080.0314), averaged over the posterior's draws.

    Args:
        posterior: of the surface, pending points included.
        tried: places that can be chosen, [N, D].
        candidates: places to compare, [M, D].
        seeds: trainings of a candidate.
    """
    count = len(tried)
    means, covariances = posterior.joint(np.concatenate([tried, candidates]))
    own = np.diagonal(covariances, axis1=1, axis2=2)[:, count:]
    steps = covariances[:, :, count:] / np.sqrt(own + posterior.variances[:, None] / seeds)[:, None, :]  # [K, N + M, M]
    now = means[:, :count]
    raised = (now[:, :, None, None] + steps[:, :count, :, None] * _QUANTILES).max(1)  # [K, M, Z]
    itself = np.diagonal(steps[:, count:], axis1=1, axis2=2)
    raised = np.maximum(raised, means[:, count:, None] + itself[:, :, None] * _QUANTILES)
    gains: Array = posterior.weights @ (raised.mean(2) - now.max(1, keepdims=True))
    return gains
