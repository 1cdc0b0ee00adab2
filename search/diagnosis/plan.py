"""Says which few trainings a diagnosis runs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from policies.families.schedules.fixed import Fixed
from policies.parameter import Value
from policies.registry import policy_class
from search.diagnosis.record import ArmKind
from search.settings import Interval, SearchConfig, ends
from trainables.suggestion import BASE_STUDENT

WEIGHTS = (0.0, 0.15, 0.5, 0.85, 1.0)
"""The constants, evenly spread on the scale logit(λ + 0.05) on which the search brackets λ."""
FAINT = 0.05
"""A further constant, halfway to λ = 0.15 on that scale, where the labels alone are better than all of `WEIGHTS`. A
weak teacher may still be worth a little trust."""
SCREENED = (0.0, 0.5)
"""The λ whose learning rates are chosen: the labels alone must not lose for want of theirs."""
RULES: tuple[tuple[ArmKind, str], ...] = (
    ("samples", "sample_norm_balance"),
    ("samples", "sample_class_reliability"),
    ("gradients", "norm_balance"),
)
"""The rules that stand for their kind: each has one number, which `matched` chooses."""
FAMILIES: dict[ArmKind, tuple[str, ...]] = {
    "constant": (Fixed.family,),
    "samples": (
        "sample_norm_balance",
        "sample_norm_ratio_threshold",
        "sample_class_reliability",
        "sample_confidence_reliability",
        "sample_tree",
    ),
    "gradients": ("norm_balance", "norm_ratio_threshold", "cosine_threshold", "mgda"),
}
"""The families to search where a kind pays."""
_RATES = 3
_EDGE = 0.05
"""Matched rules take no λ as nearer to 0 or 1 than this, where a ratio has no end."""


def learning_rates(config: SearchConfig) -> tuple[float, ...]:
    """Return up to three learning rates in the middles of equal parts of the range; one if none is searched."""
    domain = config.space.learning_rate
    if domain is None:
        return (config.training.learning_rate,)
    if isinstance(domain, Interval):
        low, high = math.log(domain.low), math.log(domain.high)
        return tuple(math.exp(low + (high - low) * (part + 0.5) / _RATES) for part in range(_RATES))
    rates = sorted(float(end) for end in ends(domain))
    if len(rates) <= _RATES:
        return tuple(rates)
    return rates[0], rates[len(rates) // 2], rates[-1]


def temperature(config: SearchConfig) -> float:
    """Return the file's temperature, or the nearest that is searched."""
    domain, given = config.space.temperature, config.temperature
    if domain is None:
        return given
    if isinstance(domain, Interval):
        return min(max(given, domain.low), domain.high)
    return min((float(value) for value in ends(domain)), key=lambda value: abs(math.log(value / given)))


def trainings(config: SearchConfig, seeds: int) -> int:
    """Return the most trainings of a diagnosis, with the one along which single steps are tried."""
    screened = (len(learning_rates(config)) - 1) * len(SCREENED)
    return screened + (len(WEIGHTS) + 1 + len(RULES)) * seeds + 1


def interpolated(weight: float, rates: Mapping[float, float]) -> float:
    """Return the learning rate of a λ: between those of the screened λ on a logarithmic scale, constant beyond."""
    low, high = SCREENED
    part = min(1.0, (weight - low) / (high - low))
    return math.exp((1.0 - part) * math.log(rates[low]) + part * math.log(rates[high]))


def constant(weight: float, rate: float, warmth: float) -> dict[str, Any]:
    """Return the suggestion of a constant."""
    return _suggestion(Fixed.family, {"weight": weight}, rate, warmth)


def matched(family: str, weight: float, *, norm_ratio: float, agreement: float) -> dict[str, Value]:
    """Return the parameters under which a rule trusts the teacher about as much as the constant `weight` does.

    So a lead over that constant comes from trust that differs between samples or steps, and not from more or less of
    it.

    Args:
        family: one of `RULES`.
        weight: λ of the constant.
        norm_ratio: the gradients' norm ratio along its training.
        agreement: the share of training samples on which teacher and label agree.
    """
    weight = min(max(weight, _EDGE), 1.0 - _EDGE)
    (name,) = (name for name in ("balance", "trust") if name in policy_class(family).parameters())
    wanted = weight / max(agreement, _EDGE) if name == "trust" else norm_ratio * weight / (1.0 - weight)
    low, high = policy_class(family).parameters()[name].search
    return {name: min(max(wanted, float(low)), float(high))}


def rule(family: str, parameters: Mapping[str, Value], rate: float, warmth: float) -> dict[str, Any]:
    """Return the suggestion of a rule."""
    return _suggestion(family, parameters, rate, warmth)


def _suggestion(family: str, parameters: Mapping[str, Value], rate: float, warmth: float) -> dict[str, Any]:
    own = {f"{family}.{name}": value for name, value in parameters.items()}
    return {"family": family, "student": BASE_STUDENT, "learning_rate": rate, "temperature": warmth, **own}
