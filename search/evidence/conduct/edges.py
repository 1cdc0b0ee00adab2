"""Finds best values at an end of the range that was searched, since a better one may lie beyond it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from policies.parameter import Parameter, Value
from search.settings import Choices, Domain, Interval
from search.wording import number, setting_title
from trainables.settings import Settings

NEAR = 0.02
"""Share of a range that counts as its end. On a logarithmic range it is a share of the orders of magnitude."""
_FEWEST_CHOICES = 3  # of two values one is always at an end


class Edge(Settings):
    """A value at an end of its range."""

    name: str
    value: float
    end: Literal["lower", "upper"]
    bound: float
    """The range's end."""
    can_widen: bool
    """True if values beyond the bound are valid at all; beyond λ = 0 or 1 there are none."""

    @property
    def text(self) -> str:
        """One sentence, with the remedy if there is one."""
        name = setting_title(self.name)
        place = f"{name} {number(self.value)} lies at the {self.end} end of its range ({number(self.bound)})"
        return f"The best {place}; widen the range before believing this." if self.can_widen else f"The best {place}."


def edge_of(name: str, value: Value, domain: Domain, parameter: Parameter | None = None) -> Edge | None:
    """Return the end of its range that a value lies at; None if it lies inside, is no number or was not searched.

    Args:
        name: the setting's.
        value: the best one.
        domain: the domain in which it was searched.
        parameter: its declaration, for a policy's parameter; it says what is valid.
    """
    ends = _ends(domain)
    if ends is None or isinstance(value, str):
        return None
    low, high = ends
    near = NEAR if isinstance(domain, Interval) else 0.0
    share = _place(value, low, high, log=isinstance(domain, Interval) and domain.log)
    if near < share < 1.0 - near:
        return None
    upper = share >= 0.5
    bound = high if upper else low
    valid = parameter is None or (bound < parameter.high if upper else bound > parameter.low)
    return Edge(name=name, value=float(value), end="upper" if upper else "lower", bound=bound, can_widen=valid)


def edges(
    values: Mapping[str, Value], domains: Mapping[str, Domain], parameters: Mapping[str, Parameter] | None = None
) -> tuple[Edge, ...]:
    """List the values that lie at an end of their range, in the order of `values`; skip names without a domain."""
    declared = parameters or {}
    searched = [name for name in values if name in domains]
    found = [edge_of(name, values[name], domains[name], declared.get(name)) for name in searched]
    return tuple(edge for edge in found if edge is not None)


def _ends(domain: Domain) -> tuple[float, float] | None:
    if isinstance(domain, Interval):
        return domain.low, domain.high
    if not isinstance(domain, Choices):
        return None
    listed = {float(choice) for choice in domain.choices if not isinstance(choice, str)}
    if len(listed) < _FEWEST_CHOICES or len(listed) < len(set(domain.choices)):
        return None
    return min(listed), max(listed)


def _place(value: float, low: float, high: float, *, log: bool) -> float:
    """Return the place of a value in a range: 0 at its lower end and below, 1 at its upper end and above."""
    value = min(max(value, low), high)
    if log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)
