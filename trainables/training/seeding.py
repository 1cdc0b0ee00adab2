"""Draws seeds from seeds: one whole number from several, such as a seed and an epoch."""

from __future__ import annotations

import numpy as np


def random_value(*key: int) -> int:
    """Return a random value of 63 bits that depends on the key alone."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)
