"""Defines what a search may do with one setting: keep it at a value, or vary it over a range or a list."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeAlias

import pydantic
from pydantic import Discriminator, Field, Tag

from policies.errors import PolicyError
from policies.parameter import Parameter, Value
from policies.policy import Policy
from trainables.settings import Settings


class Interval(Settings):
    """A range to search, ends included; with `log`, values are spread evenly over orders of magnitude."""

    low: float
    high: float
    log: bool = False

    @pydantic.model_validator(mode="after")
    def _ordered(self) -> Interval:
        if not self.low < self.high:
            raise ValueError(f"`low` < `high` must hold, but got low={self.low}, high={self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"`low` must be positive when `log` is true, but got low={self.low}")
        return self


def _kind_of_constant(value: Any) -> str:
    return "(text)" if isinstance(value, str) else "(number)"


_Number = Annotated[float, Tag("(number)")]
_Text = Annotated[str, Tag("(text)")]


class Choices(Settings):
    """A list of values that a search picks from: numbers, or options of a choice."""

    choices: Annotated[
        tuple[Annotated[_Number | _Text, Discriminator(_kind_of_constant)], ...],
        Field(min_length=1),
    ]


def _kind_of_domain(value: Any) -> str:
    if isinstance(value, Choices) or (isinstance(value, dict) and "choices" in value):
        return "(choices)"
    if isinstance(value, Interval | dict):
        return "(interval)"
    return _kind_of_constant(value)


Domain: TypeAlias = Annotated[
    _Number | _Text | Annotated[Interval, Tag("(interval)")] | Annotated[Choices, Tag("(choices)")],
    Discriminator(_kind_of_domain),
]


def ends(domain: Domain) -> tuple[Value, ...]:
    """The extreme or listed values of a domain."""
    if isinstance(domain, Interval):
        return domain.low, domain.high
    if isinstance(domain, Choices):
        return domain.choices
    return (domain,)


def middle(domain: Domain) -> float:
    """Return a domain's number in the middle; in that of the orders of magnitude, if it is spread over these."""
    if isinstance(domain, Interval):
        return math.sqrt(domain.low * domain.high) if domain.log else (domain.low + domain.high) / 2.0
    numbers = sorted(float(end) for end in ends(domain))
    return numbers[(len(numbers) - 1) // 2]


def check_domain(domain: Domain, parameter: Parameter, owner: str, name: str) -> None:
    """Make sure that all of a domain is valid for a policy's parameter.

    Raises:
        PolicyError: a part of it is not valid; the message names `owner`.`name`.
    """
    if isinstance(domain, Interval) and parameter.kind == "choice":
        raise PolicyError(
            f"`{owner}.{name}` must be a choice of {', '.join(parameter.options)} ({parameter.meaning}), but got a"
            f" range, low={domain.low:g}, high={domain.high:g}; give one of them, or several as {{ choices = [...] }}."
        )
    for end in ends(domain):
        parameter.validate(owner, name, end)


def check_options(rule: type[Policy], domains: Mapping[str, Domain], owner: str) -> None:
    """Make sure that a rule accepts every pair of options that a search could give it.

    Raises:
        PolicyError: the rule refuses a pair; the message names `owner` and both options.
    """
    options = {name: ends(domain) for name, domain in domains.items() if rule.parameters()[name].kind == "choice"}
    for first, second in itertools.combinations(options, 2):
        for pair in itertools.product(options[first], options[second]):
            try:
                rule.from_parameters(dict(zip((first, second), pair, strict=True)))
            except PolicyError as error:
                raise PolicyError(
                    f"`{owner}` lets a search choose {first} = {pair[0]!r} together with {second} = {pair[1]!r}, which"
                    f" is refused: {error}"
                ) from error


RangeSide: TypeAlias = tuple[str, Literal["lower", "upper"]]
"""An end of a range that all families share: the setting's name in a suggestion, and which end."""
