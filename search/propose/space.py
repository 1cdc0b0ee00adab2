"""The define-by-run space of a search.

It is derived from what the policies declare; a search file narrows, widens or fixes it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from policies.parameter import Parameter, Value
from policies.registry import policy_class
from search.settings import Choices, Domain, Interval, SearchConfig


class Suggests(Protocol):
    """The part of `optuna.Trial` that a space uses."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...
    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any: ...


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

    def suggest(self, trial: Suggests, name: str) -> Value:
        """Ask the sampler for a value; a constant is returned without asking."""
        if isinstance(self.domain, Choices):
            value: Value = trial.suggest_categorical(name, self.domain.choices)
        elif isinstance(self.domain, Interval):
            if self.whole:
                return trial.suggest_int(name, int(self.domain.low), int(self.domain.high), log=self.domain.log)
            return trial.suggest_float(name, self.domain.low, self.domain.high, log=self.domain.log)
        else:
            value = self.domain
        return int(value) if self.whole else value

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
    """The variables that Optuna is asked for, by define-by-run. Picklable, since a search's snapshot holds it."""

    shared: dict[str, Variable]
    families: dict[str, dict[str, Variable]]

    def suggest(self, trial: Suggests, family: str) -> dict[str, Any]:
        """Ask for all that a trial of this family needs; constants are returned without asking."""
        return {name: variable.suggest(trial, name) for name, variable in self.variables(family).items()}

    def suggest_shared(self, trial: Suggests) -> dict[str, Any]:
        """Ask for what a round's trials have in common."""
        return {name: variable.suggest(trial, name) for name, variable in self.shared.items()}

    def variables(self, family: str) -> dict[str, Variable]:
        """Return all that a trial of this family needs, by its name in the suggestion."""
        own = {f"{family}.{name}": variable for name, variable in self.families[family].items()}
        return {**self.shared, **own}

    def start(self, family: str) -> dict[str, Any]:
        """Return the point that a family begins with: the defaults of the variables that vary."""
        return _starts(self.variables(family))

    def start_shared(self) -> dict[str, Any]:
        """Return what the first round's trials have in common: the recipe's values of the variables that vary."""
        return _starts(self.shared)


def _starts(variables: dict[str, Variable]) -> dict[str, Any]:
    return {name: variable.start() for name, variable in variables.items() if variable.varies}


def build_space(config: SearchConfig) -> SearchSpace:
    """Build the space of a search."""
    shared = {
        "learning_rate": _variable(config.space.learning_rate, config.training.learning_rate),
        "temperature": _variable(config.space.temperature, config.temperature),
    }
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
