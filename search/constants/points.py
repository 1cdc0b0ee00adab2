"""Points of the constant's surface, and their places in a unit cube.

λ is stretched towards both ends (`search.constants.weights`). At λ = 0 the temperature has no effect, so there
is one point for each learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from search.constants.weights import unwarp, warp
from search.settings import Choices, Domain, Interval, ends
from trainables.settings import Settings
from trainables.suggestion import OPTIONS, SHARED, options_of

Array: TypeAlias = NDArray[np.float64]


class ConstantPoint(Settings):
    """A constant λ with the other searched settings; a setting that is not searched is None."""

    weight: float
    learning_rate: float | None = None
    temperature: float | None = None
    options: tuple[tuple[str, float], ...] = ()
    """The searched options of the user's own, by name."""

    @classmethod
    def at(cls, weight: float, shared: Mapping[str, float]) -> Self:
        """Return the point of a λ at settings given by their names in a suggestion."""
        named: dict[str, Any] = {name: value for name, value in shared.items() if name in SHARED}
        return cls(weight=weight, options=tuple(options_of(shared).items()), **named)

    @property
    def shared(self) -> dict[str, float]:
        """The settings that are searched, by their names in a suggestion."""
        named = {name: value for name in SHARED if (value := getattr(self, name)) is not None}
        return {**named, **{f"{OPTIONS}{name}": value for name, value in self.options}}


class ConstantScore(Settings):
    """The scores of one point by seed, in the objective's unit; higher is better."""

    point: ConstantPoint
    scores: dict[int, float]


class SurfaceDomain(Settings):
    """The ranges searched for the best constant. A learning rate or temperature that does not vary is no axis."""

    weight: Domain = Interval(low=0.0, high=1.0)
    learning_rate: Domain | None = None
    temperature: Domain | None = None
    options: dict[str, Domain] = Field(default_factory=dict)
    """Options of the user's own, by name."""
    home: ConstantPoint | None = None
    """The point to begin with: common practice at the recipe's own settings."""

    @property
    def shared(self) -> dict[str, Domain]:
        """The domains of all settings beside λ, by their names in a suggestion."""
        named = {name: domain for name in SHARED if (domain := getattr(self, name)) is not None}
        return {**named, **{f"{OPTIONS}{name}": domain for name, domain in self.options.items()}}

    @property
    def settings(self) -> tuple[str, ...]:
        """The names of the settings that vary beside λ."""
        return tuple(name for name, domain in self.shared.items() if len(set(ends(domain))) > 1)

    @property
    def axes(self) -> int:
        """The number of axes: λ and the settings that vary."""
        return 1 + len(self.settings)

    def encode(self, point: ConstantPoint) -> Array:
        """Return the place of a point in the unit cube, [axes]; λ = 0 has the middle of the temperatures."""
        place, domains, values = [warp(point.weight)], self.shared, point.shared
        for name in self.settings:
            blind = name == "temperature" and point.weight == 0.0
            place.append(0.5 if blind else _position(domains[name], values[name]))
        return np.array(place)

    def decode(self, place: Sequence[float]) -> ConstantPoint:
        """Return the allowed point nearest to a place, in round numbers."""
        weight, *others = place
        domains = self.shared
        values = {name: _value(domains[name], at) for name, at in zip(self.settings, others, strict=True)}
        return self.moved(ConstantPoint.at(0.5, values), self.nearest_weight(unwarp(weight)))

    def moved(self, point: ConstantPoint, weight: float) -> ConstantPoint:
        """Return a point with another λ; at λ = 0 all temperatures become that of `home`, or the middle one."""
        changed: dict[str, float | None] = {"weight": weight}
        if weight == 0.0 and "temperature" in self.settings:
            usual = None if self.home is None else self.home.temperature
            assert self.temperature is not None
            changed["temperature"] = _value(self.temperature, 0.5) if usual is None else usual
        return point.model_copy(update=changed)

    def apart(self, places: Array, place: Array) -> Array:
        """Return each place's largest distance to `place` along the settings, [N].

        Half a range of temperatures counts as a quarter, so that the next listed one is near. λ = 0 has no distance to
        any temperature.
        """
        distances = np.abs(places[:, 1:] - place[1:])
        if "temperature" in self.settings:
            axis = self.settings.index("temperature")
            distances[:, axis] /= 2.0
            distances[(places[:, 0] <= warp(0.0)) | (place[0] <= warp(0.0)), axis] = 0.0
        found: Array = distances.max(axis=1, initial=0.0)
        return found

    def beside(self, setting: str, end: Literal["lower", "upper"]) -> float:
        """Return the place next to an end of a range: the next listed value's, or a quarter inside an interval."""
        domain = self.shared[setting]
        if not isinstance(domain, Choices):
            return 0.25 if end == "lower" else 0.75
        places = sorted({_position(domain, float(choice)) for choice in domain.choices})
        return places[1] if end == "lower" else places[-2]

    def nearest_weight(self, weight: float) -> float:
        """Return the allowed λ nearest to a number, with three decimals inside an interval."""
        if isinstance(self.weight, Interval):
            return min(max(round(weight, 3), self.weight.low), self.weight.high)
        return float(min(ends(self.weight), key=lambda option: abs(float(option) - weight)))

    @property
    def limits_of_weight(self) -> tuple[float, float]:
        """The lowest and the highest λ."""
        return _extremes(self.weight)

    @property
    def limits(self) -> tuple[float, float]:
        """The places of the lowest and the highest λ."""
        low, high = self.limits_of_weight
        return warp(low), warp(high)


def _position(domain: Domain, value: float) -> float:
    low, high = (_scaled(domain, end) for end in _extremes(domain))
    return (_scaled(domain, value) - low) / (high - low)


def _value(domain: Domain, position: float) -> float:
    if isinstance(domain, Choices):
        return float(min(domain.choices, key=lambda option: abs(_position(domain, float(option)) - position)))
    low, high = _extremes(domain)
    at = _scaled(domain, low) + position * (_scaled(domain, high) - _scaled(domain, low))
    value = math.exp(at) if _is_log(domain) else at
    return min(max(float(f"{value:.3g}"), low), high)


def _extremes(domain: Domain) -> tuple[float, float]:
    values = [float(end) for end in ends(domain)]
    return min(values), max(values)


def _scaled(domain: Domain, value: float | str) -> float:
    return math.log(float(value)) if _is_log(domain) else float(value)


def _is_log(domain: Domain) -> bool:
    """Tell whether steps are factors. Those between listed values above zero are, since people list 2, 4, 8."""
    return domain.log if isinstance(domain, Interval) else all(float(end) > 0.0 for end in ends(domain))
