"""Published methods that are, for two losses, a family of this package under another name.

They take the same direction in every step and differ at most in the common factor s. Nash-MTL solves Gα = 1/α, whose
solution is α_i = 1/‖g_i‖ up to a factor. IMTL-G wants equal projections on both gradients, ConFIG equal cosines with
them, and the bisector of the angle is the one direction with either property. The geometric mean of the losses has the
gradient ½√(L_d·L_t)·(g_d/L_d + g_t/L_t).
"""

from __future__ import annotations

from policies.parameter import Value

ALIASES: dict[str, tuple[str, dict[str, Value]]] = {
    "imtl_g": ("norm_balance", {"balance": 1.0}),
    "nash_mtl": ("norm_balance", {"balance": 1.0}),
    "config": ("norm_balance", {"balance": 1.0}),
    "geometric_mean": ("loss_ratio", {"balance": 1.0}),
    "pcgrad": ("upgrad", {"preference": 0.5, "scale": "unit"}),
}
"""Alias -> the family that it stands for, and the parameters that it fixes."""


def meaning(alias: str) -> str:
    """Return what an alias stands for, in words: `` `norm_balance` with balance=1.0 ``."""
    family, fixed = ALIASES[alias]
    return f"`{family}` with {', '.join(f'{name}={value!r}' for name, value in fixed.items())}"
