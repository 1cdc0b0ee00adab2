"""The define-by-run space of a search, and the points it begins with.

Derived from what the policies declare; a search file narrows, widens or fixes it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

from policies.parameter import Parameter
from policies.registry import policy_class
from search.config import Choices, Domain, Interval, SearchConfig


class Suggests(Protocol):
    """The part of `optuna.Trial` that a space uses."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...
    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...
    def suggest_categorical(self, name: str, choices: tuple[Any, ...]) -> Any: ...


@dataclasses.dataclass(frozen=True)
class Variable:
    """One name in a suggestion: its domain, the value it starts from, and whether it is whole."""

    domain: Domain
    default: float
    whole: bool = False

    @property
    def varies(self) -> bool:
        """Whether a search has a choice here."""
        return not isinstance(self.domain, int | float)

    def suggest(self, trial: Suggests, name: str) -> float | int:
        """Ask the sampler for a value; a constant is answered without asking."""
        if isinstance(self.domain, Choices):
            value: float = trial.suggest_categorical(name, self.domain.choices)
        elif isinstance(self.domain, Interval):
            if self.whole:
                return trial.suggest_int(name, int(self.domain.low), int(self.domain.high), log=self.domain.log)
            return trial.suggest_float(name, self.domain.low, self.domain.high, log=self.domain.log)
        else:
            value = self.domain
        return int(value) if self.whole else value

    def start(self) -> float | int:
        """The allowed value nearest to the default."""
        if isinstance(self.domain, Choices):
            value = min(self.domain.choices, key=lambda choice: abs(choice - self.default))
        elif isinstance(self.domain, Interval):
            value = min(max(self.default, self.domain.low), self.domain.high)
        else:
            value = self.domain
        return int(value) if self.whole else value


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """What Optuna is asked, trial by trial. Picklable, since a search's snapshot holds it."""

    shared: dict[str, Variable]
    families: dict[str, dict[str, Variable]]

    def __call__(self, trial: Suggests) -> dict[str, Any]:
        """Suggest a family, then what that family needs; returns the constants, as `OptunaSearch` wants it."""
        family: str = trial.suggest_categorical("family", tuple(self.families))
        constants: dict[str, Any] = {}
        for name, variable in self.variables(family).items():
            value = variable.suggest(trial, name)
            if not variable.varies:
                constants[name] = value
        return constants

    def variables(self, family: str) -> dict[str, Variable]:
        """All that a trial of this family needs, by its name in the suggestion."""
        own = {f"{family}.{name}": variable for name, variable in self.families[family].items()}
        return {**self.shared, **own}

    def start(self, family: str, **policy: float) -> dict[str, Any]:
        """The point a family begins with: its defaults, or the given values of its parameters."""
        point: dict[str, Any] = {"family": family}
        for name, variable in self.variables(family).items():
            if variable.varies:
                point[name] = variable.start()
        point.update({f"{family}.{name}": value for name, value in policy.items()})
        return point


def build_space(config: SearchConfig) -> SearchSpace:
    """The space of a search."""
    learning_rate = config.training.learning_rate
    shared = {
        "learning_rate": Variable(
            learning_rate if config.space.learning_rate is None else config.space.learning_rate, learning_rate
        ),
        "temperature": Variable(config.space.temperature, config.temperature),
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


def first_points(config: SearchConfig, space: SearchSpace) -> list[dict[str, Any]]:
    """One point a trial of the whole search, family by family in turn, so that every family gets the same share.

    The first round is every family's defaults, and the first rounds of `fixed` are the known baselines; a later point
    names only its family and leaves the rest to the sampler.
    """
    points = []
    for turn in range(config.trials_per_family):
        for family in config.families:
            if family == "fixed" and turn < len(config.baselines):
                points.append(space.start(family, weight=config.baselines[turn]))
            elif turn == 0:
                points.append(space.start(family))
            else:
                points.append({"family": family})
    return points


def is_baseline(config: SearchConfig, number: int, family: str) -> bool:
    """Whether the trial with this number (from 1) is one of the known constants."""
    turn = (number - 1) // len(config.families)
    return family == "fixed" and turn < len(config.baselines)


def _declared_domain(parameter: Parameter) -> Domain:
    if not parameter.searched:
        return parameter.default
    low, high = parameter.search
    return Interval(low=low, high=high, log=parameter.log)
