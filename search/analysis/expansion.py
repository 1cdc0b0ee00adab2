"""Computes the λ that the loss's Taylor expansion asks for, from the gradients' angle and lengths. NumPy only.

g_d and g_t are the gradients of the distillation and of the task loss, u(λ) = λ g_d + (1-λ) g_t, ρ their cosine and r =
‖g_d‖/‖g_t‖. A step Δ changes a loss with the gradient h and the Hessian H by ⟨h, Δ⟩ + ½ ΔᵀHΔ to second order. Only ρ
and r matter here, so ‖g_t‖ is 1. All functions are vectorised over arrays that broadcast.

Three steps:

- `plain`: Δ = -η u(λ), η small. The fall η⟨h, u⟩ is linear in λ, so the best λ is an end, 0 or 1. A longer gradient
  also wins by its length.
- `curved`: the same with the Hessian κI, and `step` = ηκ. At 1 a loss's own gradient reaches its minimum.
- `fixed_length`: Δ = -ε u/‖u‖. The length of u does not affect the answer, as with an optimiser that normalises.

Four goals: the task loss, the distillation loss, their mean, and `mixed`: λ L_d + (1-λ) L_t at the λ in question.
`mixed` is another loss at every λ, so its falls are of different losses. It is included because rules are often derived
with it.

The goal may be the loss on *other* pictures. The batch's gradient then shows the gradient on those with noise: only the
share `signal` of ‖g_i‖² is true. The noise of g_d and that of g_t are assumed independent, so ⟨g_d, g_t⟩ is that of the
true gradients. This is too optimistic, since both losses share the batch's pictures: `ProbeRecord.cross_alignment` has
what a training shows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Goal = Literal["task", "distill", "mean", "mixed"]
Step = Literal["plain", "curved", "fixed_length"]

_SHARES: dict[str, float] = {"task": 0.0, "distill": 1.0, "mean": 0.5}
_GRID = np.linspace(0.0, 1.0, 401)


def fall(
    weight: npt.ArrayLike,
    cosine: npt.ArrayLike,
    norm_ratio: npt.ArrayLike,
    goal: Goal,
    how: Step,
    *,
    step: float = 1.0,
    signal: float = 1.0,
) -> Floats:
    """Return how far a step at λ = `weight` lets the goal's loss fall.

    The unit is η‖g_t‖², or ε‖g_t‖ at a fixed length.

    Args:
        weight: λ in [0, 1].
        cosine: ρ in [-1, 1].
        norm_ratio: r, positive.
        goal: the loss that is to fall.
        how: the kind of step.
        step: ηκ; read by `curved` only.
        signal: share of ‖g_i‖² that is the gradient on other pictures; 1 for the batch itself.
    """
    lam = np.asarray(weight, float)
    a, b, c = _products(cosine, norm_ratio)
    share = lam if goal == "mixed" else _SHARES[goal]
    on_distill, on_task = _pulls(share, a, b, c, signal)
    linear = lam * on_distill + (1.0 - lam) * on_task
    length_sq = np.maximum(0.0, lam**2 * a + 2.0 * lam * (1.0 - lam) * c + (1.0 - lam) ** 2 * b)
    found: Floats = linear - 0.5 * (step if how == "curved" else 0.0) * length_sq
    if how == "fixed_length":
        found = np.divide(linear, np.sqrt(length_sq), out=np.zeros_like(found), where=length_sq > 0.0)
    return found


def best_weight(
    cosine: npt.ArrayLike,
    norm_ratio: npt.ArrayLike,
    goal: Goal,
    how: Step,
    *,
    step: float = 1.0,
    signal: float = 1.0,
) -> Floats:
    """Return the λ in [0, 1] of the largest `fall`; ½ if every λ is as good. Arguments as for `fall`.

    Closed forms are used, except for `mixed` at a fixed length: there the best of 401 λ is returned.
    """
    a, b, c = _products(cosine, norm_ratio)
    if goal == "mixed":

        def own(weight: Floats) -> Floats:
            return fall(weight, cosine, norm_ratio, "mixed", how, step=step, signal=signal)

        return _highest_of_grid(own) if how == "fixed_length" else _highest_of_parabola(own)
    on_distill, on_task = _pulls(_SHARES[goal], a, b, c, signal)
    if how == "plain":
        return _end(_unrounded(on_distill - on_task, a + b))
    if how == "curved":
        spread = np.maximum(0.0, a + b - 2.0 * c)
        gain = _unrounded((on_distill - on_task) / step - (c - b), (a + b) * max(1.0, 1.0 / step))
        free = np.divide(gain, spread, out=np.full_like(gain, 0.5), where=spread > 1e-12)
        clipped: Floats = np.clip(free, 0.0, 1.0)
        return clipped
    # Of all vectors in the plane of g_d and g_t, x g_d + y g_t lies nearest to the goal's gradient. If x or y is
    # negative, the best vector of the cone lies on one of its edges.
    x = _unrounded(b * on_distill - c * on_task, a * b)
    y = _unrounded(a * on_task - c * on_distill, a * b)
    inside = (x >= 0.0) & (y >= 0.0) & (x + y > 0.0)
    free = np.divide(x, x + y, out=np.full_like(x, 0.5), where=inside)
    edges = on_distill / np.sqrt(a) - on_task / np.sqrt(b)
    best: Floats = np.where(inside, free, _end(_unrounded(edges, np.sqrt(a * b))))
    return best


def _products(cosine: npt.ArrayLike, norm_ratio: npt.ArrayLike) -> tuple[Floats, Floats, Floats]:
    """Return ‖g_d‖², ‖g_t‖² and ⟨g_d, g_t⟩ for ‖g_t‖ = 1."""
    rho, r = np.broadcast_arrays(np.asarray(cosine, float), np.asarray(norm_ratio, float))
    return r**2, np.ones_like(r), rho * r


def _pulls(share: Floats | float, a: Floats, b: Floats, c: Floats, signal: float) -> tuple[Floats, Floats]:
    """Return ⟨h, g_d⟩ and ⟨h, g_t⟩ for the goal's gradient h = share·g_d + (1-share)·g_t without its noise."""
    return share * signal * a + (1.0 - share) * c, share * c + (1.0 - share) * signal * b


def _unrounded(values: Floats, size: Floats) -> Floats:
    """Return `values` with those set to 0 that are only rounding errors of numbers of that size."""
    clean: Floats = np.where(np.abs(values) <= 1e-12 * size, 0.0, values)
    return clean


def _end(gain: Floats) -> Floats:
    """Return the best λ if the fall is linear in λ: 0, ½ or 1, by the sign of its slope `gain`."""
    found: Floats = 0.5 + 0.5 * np.sign(gain)
    return found


def _highest_of_parabola(falls: Callable[[Floats], Floats]) -> Floats:
    """Return where in [0, 1] a function of λ with a constant second derivative is highest; ½ if both ends are."""
    start, middle, end = (falls(np.asarray(weight)) for weight in (0.0, 0.5, 1.0))
    size = np.abs(start) + np.abs(middle) + np.abs(end)
    bend = np.asarray(_unrounded(2.0 * (start + end - 2.0 * middle), size))
    slope = end - start - bend
    hill = bend < 0.0
    top = np.clip(np.divide(-slope, 2.0 * bend, out=np.full_like(bend, 0.5), where=hill), 0.0, 1.0)
    found: Floats = np.where(hill, top, _end(_unrounded(end - start, size)))
    return found


def _highest_of_grid(falls: Callable[[Floats], Floats]) -> Floats:
    """Return where a function of λ is highest on a grid; the mean of these λ if there are several."""
    heights = np.stack([falls(np.asarray(weight)) for weight in _GRID], axis=-1)
    high = heights.max(axis=-1, keepdims=True)
    ties = heights >= high - 1e-12 * (1.0 + np.abs(high))
    found: Floats = np.where(ties, _GRID, 0.0).sum(-1) / ties.sum(-1)
    return found
