"""Limits how far λ may move in one step without raising the loss that is trained."""

from __future__ import annotations

import math

from policies.geometry import Geometry


def limited_weight(current: float, wanted: float, geometry: Geometry, loss_gap: float, learning_rate: float) -> float:
    """Return the λ' nearest to `wanted`, on its side of `current`, for which the mixed loss does not rise.

    A step along g_λ = λ g_d + (1-λ) g_t followed by a change to λ' changes the mixed loss, to first order, by

        (λ' - λ)(L_d - L_t) - η g_λ'·g_λ

    This is linear in λ', so the bound has a closed form. It holds for plain gradient descent. Other optimisers take
    other steps, for which η is an order of magnitude only.

    Args:
        current: λ, the weight of the step before.
        wanted: λ'.
        geometry: the geometry of the two gradients.
        loss_gap: L_d - L_t in nats.
        learning_rate: η times the common factor s of the losses.

    Returns:
        `wanted` if the bound holds for it, or if a number is not finite, so that nothing can be said.

    Source: Taylor expansion of the mixed loss as in arXiv 2505.06270, applied to a change of λ.
    """
    a, b, c = geometry
    falls = learning_rate * geometry.norm_sq(current)
    # d/dλ' of η g_λ'·g_λ is η (g_d - g_t)·g_λ.
    rise = loss_gap - learning_rate * (current * (a - c) + (1.0 - current) * (c - b))
    change = (wanted - current) * rise
    if not (math.isfinite(falls) and math.isfinite(change)) or change <= falls:
        return wanted
    return current + falls / rise
