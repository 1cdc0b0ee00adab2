"""The space of a search.

It is derived from what the policies declare; a search file narrows, widens or fixes it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from policies.parameter import Parameter, Value
from policies.registry import policy_class
from search.settings import Choices, Domain, Interval, SearchConfig
from trainables.suggestion import OPTIONS


@dataclasses.dataclass(frozen=True)
class Variable:
    """One name in a suggestion: its domain, the value it starts from, and whether it is whole."""

    domain: Domain
    default: Value
    whole: bool = False

    @property
    def varies(self) -> bool:
        """True if a search has a choice here."""
        return isinstance(self.domain, Interval | Choices)

    def start(self) -> Value:
        """Return the allowed value nearest to the default; of options, the default itself or else the first."""
        if isinstance(self.domain, Choices):
            value = min(self.domain.choices, key=self._distance)
        elif isinstance(self.domain, Interval):
            value = min(max(self.default, self.domain.low), self.domain.high)
        else:
            value = self.domain
        return int(value) if self.whole else value

    def _distance(self, value: Value) -> float:
        if isinstance(value, str) or isinstance(self.default, str):
            return float(value != self.default)
        return abs(value - self.default)


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """The variables that Optuna is asked for."""

    shared: dict[str, Variable]
    families: dict[str, dict[str, Variable]]

    def own(self, family: str) -> dict[str, Variable]:
        """Return a family's own variables, by their names in the suggestion."""
        return {f"{family}.{name}": variable for name, variable in self.families[family].items()}


def completed(variables: Mapping[str, Variable], chosen: Mapping[str, Value]) -> dict[str, Any]:
    """Return a value for each variable: the chosen one, or else the one that it starts from."""
    return {name: chosen.get(name, variable.start()) for name, variable in variables.items()}


def build_space(config: SearchConfig) -> SearchSpace:
    """Build the space of a search."""
    shared = {
        "learning_rate": _variable(config.space.learning_rate, config.training.learning_rate),
        "temperature": _variable(config.space.temperature, config.temperature),
    }
    for name, first in config.first_options.items():
        shared[f"{OPTIONS}{name}"] = _variable(config.space.options[name], first)
    families = {}
    for family in config.families:
        overrides = config.space.policies.get(family, {})
        families[family] = {
            name: Variable(
                overrides.get(name, _declared_domain(parameter)), parameter.default, parameter.kind == "integer"
            )
            for name, parameter in policy_class(family).parameters().items()
        }
    return SearchSpace(shared, families)


def _variable(domain: Domain | None, default: float) -> Variable:
    """Return a variable that stays at its default unless a domain is given."""
    return Variable(default if domain is None else domain, default)


def _declared_domain(parameter: Parameter) -> Domain:
    if not parameter.searched:
        return parameter.default
    if parameter.kind == "choice":
        return Choices(choices=parameter.options)
    low, high = parameter.search
    return Interval(low=low, high=high, log=parameter.log)
