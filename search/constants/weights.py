"""The axis of λ: stretched towards both ends, where accuracy changes fastest."""

from __future__ import annotations

import math

_MARGIN = 0.05
_SAME = 0.003
"""Two λ this close on the stretched axis are one: .005 apart in the middle of the range, .001 at its ends."""
_EXACT = 1e-6  # λ of samples is float32


def warp(weight: float) -> float:
    """Return the place of a λ, in [0, 1]: logit((λ + .05) / 1.1), from 0 for λ = 0 to 1 for λ = 1."""
    low, high = _logit(0.0), _logit(1.0)
    return (_logit(weight) - low) / (high - low)


def unwarp(place: float) -> float:
    """Return the λ at a place, in [0, 1]."""
    low, high = _logit(0.0), _logit(1.0)
    share = 1.0 / (1.0 + math.exp(-(low + place * (high - low))))
    return min(max(share * (1.0 + 2.0 * _MARGIN) - _MARGIN, 0.0), 1.0)


def same_weight(one: float, other: float) -> bool:
    """Tell whether two λ give the same training. λ = 0 and λ = 1, which leave out a loss, are like no other λ."""
    if abs(one - other) <= _EXACT:
        return True
    if any(abs(weight - end) <= _EXACT for weight in (one, other) for end in (0.0, 1.0)):
        return False
    return abs(warp(one) - warp(other)) <= _SAME


def _logit(weight: float) -> float:
    share = (weight + _MARGIN) / (1.0 + 2.0 * _MARGIN)
    return math.log(share / (1.0 - share))
