"""The Matérn 5/2 covariance (Rasmussen and Williams 2006, equation 4.17)."""

from __future__ import annotations

import numpy as np

from search.propose.cube import Array


def matern(squared: Array) -> Array:
    """Compute covariances from squared distances in units of the length scale, of any shape."""
    distance = np.sqrt(5.0 * squared)
    kernel: Array = (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    return kernel
