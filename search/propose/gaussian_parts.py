"""Holds what the Gaussian processes of rules and of constants share: their points and their covariance."""

from __future__ import annotations

import numpy as np
from scipy.stats import qmc

from search.propose.cube import Array


def even_points(axes: int, count: int, seed: int | np.random.Generator = 0) -> Array:
    """Draw scrambled Sobol points, [count, axes]; the first points are the same for every count (arXiv 2008.08051)."""
    points: Array = qmc.Sobol(axes, scramble=True, rng=seed).random_base2((count - 1).bit_length())[:count]
    return points


def matern(squared: Array) -> Array:
    """Compute Matérn 5/2 covariances from squared distances in units of the length scale, of any shape.

    Source: Rasmussen and Williams 2006, equation 4.17.
    """
    distance = np.sqrt(5.0 * squared)
    kernel: Array = (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    return kernel
