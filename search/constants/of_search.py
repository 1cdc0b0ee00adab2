"""Connects a search with its constants' surface: the ranges, the point of a trial, and the ends that are level."""

from __future__ import annotations

from collections.abc import Mapping

from search.constants.points import ConstantPoint, SurfaceDomain
from search.constants.surface import Surface
from search.propose import build_space
from search.settings import CONSTANT_FAMILY, RangeSide, SearchConfig


def surface_domain(config: SearchConfig) -> SurfaceDomain:
    """Return the ranges of a search's constants, with the point to begin with."""
    weight = config.space.policies.get(CONSTANT_FAMILY, {}).get("weight")
    domain = SurfaceDomain(learning_rate=config.space.learning_rate, temperature=config.space.temperature)
    domain = domain if weight is None else domain.model_copy(update={"weight": weight})
    if CONSTANT_FAMILY not in config.families:
        return domain
    start = build_space(config).start(CONSTANT_FAMILY)
    home = point_of(domain, float(start.get(f"{CONSTANT_FAMILY}.weight", domain.limits_of_weight[0])), start)
    return domain.model_copy(update={"home": home})


def point_of(domain: SurfaceDomain, weight: float, shared: Mapping[str, float | int]) -> ConstantPoint:
    """Return the point of a λ at the learning rate and temperature that a trial shares with its round.

    A setting that varies and is missing, as in made-up trials, is None.
    """
    values = {name: float(shared[name]) for name in domain.settings if name in shared}
    return ConstantPoint(weight=weight, **values)


def level_sides(surface: Surface) -> tuple[RangeSide, ...]:
    """List the ends of shared ranges beyond which the constants have nothing to gain."""
    sides: tuple[RangeSide, ...] = (
        ("learning_rate", "lower"),
        ("learning_rate", "upper"),
        ("temperature", "lower"),
        ("temperature", "upper"),
    )
    return tuple(side for side in sides if surface.is_level_at(*side))
