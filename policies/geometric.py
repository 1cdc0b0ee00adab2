"""Holds what all rules on gradients share: where the gradients are measured, and thresholds with hysteresis."""

from __future__ import annotations

import abc
import dataclasses
import math

from policies.errors import PolicyError
from policies.geometry import Geometry
from policies.measuring import MeasuringPolicy
from policies.parameter import choice
from policies.policy import Measurement, Need, Observation

# Norm ratios beyond these bounds mean only that one gradient has vanished; a bound keeps a running mean of logs finite.
_LARGEST_RATIO = 1e12

_WHERE = {"full": "", "last_block": " in the last block", "logit": " at the logits"}


def log_ratio(geometry: Geometry) -> float:
    """log(‖g_d‖/‖g_t‖), bounded, since ratios average geometrically; NaN where a gradient is not finite."""
    if not geometry.finite:
        return math.nan
    return math.log(min(max(geometry.norm_ratio, 1.0 / _LARGEST_RATIO), _LARGEST_RATIO))


@dataclasses.dataclass(kw_only=True, eq=False)
class LocatedPolicy(MeasuringPolicy):
    """A rule on smoothed readings that include the geometry; it declares where the geometry is measured."""

    tier: str = choice(
        "full", options=("full", "last_block", "logit"), searched=False, meaning="where the gradients are measured"
    )
    pair: str = choice(
        "same",
        options=("same", "halves"),
        searched=False,
        meaning="whether both losses are measured on the same samples",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tier == "logit" and self.pair == "halves":
            raise PolicyError(
                f"`{self.family}.pair` must be 'same' where `tier` is 'logit', but got 'halves': at the logits no two"
                " samples share a coordinate, so halves would change nothing. Leave `pair` out, or measure at another"
                " tier."
            )

    @property
    def measurement(self) -> Measurement:
        return Measurement(self.tier, self.pair)  # type: ignore[arg-type]  # validated against the options

    def _measuring_in_words(self) -> str:
        halves = ", on two halves of the batch" if self.pair == "halves" else ""
        return super()._measuring_in_words() + _WHERE[self.tier] + halves


@dataclasses.dataclass(kw_only=True, eq=False)
class GeometricPolicy(LocatedPolicy):
    """A rule on smoothed readings of the geometry alone."""

    @property
    def needs(self) -> frozenset[Need]:
        return frozenset({"geometry"})

    def readings(self, observation: Observation) -> tuple[float, ...] | None:
        return None if observation.geometry is None else self.of_geometry(observation.geometry)

    @abc.abstractmethod
    def of_geometry(self, geometry: Geometry) -> tuple[float, ...]:
        """The numbers that are smoothed."""
