"""Connects a search with its constants' surface: the ranges, the point of a trial, and the ends that are level."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Literal

from search.constants.points import ConstantPoint, SurfaceDomain
from search.constants.surface import Surface
from search.propose import build_space, completed
from search.settings import CONSTANT_FAMILY, RangeSide, SearchConfig


def surface_domain(config: SearchConfig) -> SurfaceDomain:
    """Return the ranges of a search's constants, with the point to begin with."""
    weight = config.space.policies.get(CONSTANT_FAMILY, {}).get("weight")
    space = config.space
    domain = SurfaceDomain(learning_rate=space.learning_rate, temperature=space.temperature, options=space.options)
    domain = domain if weight is None else domain.model_copy(update={"weight": weight})
    if CONSTANT_FAMILY not in config.families:
        return domain
    variables = build_space(config)
    weight = variables.families[CONSTANT_FAMILY]["weight"].start()
    return domain.model_copy(update={"home": point_of(domain, float(weight), completed(variables.shared, {}))})


def point_of(domain: SurfaceDomain, weight: float, shared: Mapping[str, float | int]) -> ConstantPoint:
    """Return the point of a λ at the settings that a trial shares with its round.

    A setting that varies and is missing, as in made-up trials, is None.
    """
    return ConstantPoint.at(weight, {name: float(shared[name]) for name in domain.settings if name in shared})


def level_sides(surface: Surface) -> tuple[RangeSide, ...]:
    """List the ends of shared ranges beyond which the constants have nothing to gain."""
    ends: tuple[Literal["lower", "upper"], ...] = ("lower", "upper")
    sides = itertools.product(surface.domain.settings, ends)
    return tuple(side for side in sides if surface.is_level_at(*side))
