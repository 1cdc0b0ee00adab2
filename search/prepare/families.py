"""Refuses rules that a training cannot give what they look at."""

from __future__ import annotations

import json
from collections.abc import Mapping

from policies.errors import PolicyError
from policies.parameter import Value
from policies.policy import Given
from policies.registry import create_policy
from search.propose import Variable, build_space
from search.settings import Choices, SearchConfig
from trainables.errors import ConfigError

_ORDER: tuple[Given, ...] = ("losses", "outputs", "logits")
_WORDS: dict[Given, str] = {
    "losses": "two losses",
    "outputs": "the losses of each sample",
    "logits": "logits and labels",
}


def refuse_rules_on_more(config: SearchConfig, given: Given, but: str) -> None:
    """Raise ConfigError if a family looks at more than a training with losses of its own gives it.

    Args:
        config: the search.
        given: what the training gives its rules.
        but: the reason and the beginning of the remedy, which ends with the lines that work.
    """
    unusable: dict[str, Given] = {}
    lines: list[str] = []
    for family, variables in build_space(config).families.items():
        least, allowed = _what_is_usable(family, variables, given)
        if _exceeds(least, given):
            unusable[family] = least
        lines += [f"space.policies.{family}.{name} = {_choices(options)}" for name, options in allowed.items()]
    if unusable:
        usable = [family for family in config.families if family not in unusable]
        lines.insert(0, f"families = {json.dumps(usable)}")
    if not lines:
        return
    reasons = [
        f"{', '.join(names)} cannot be used, since {'they look' if len(names) > 1 else 'it looks'} at {_WORDS[level]}"
        for level in _ORDER
        if (names := [family for family, least in unusable.items() if least == level])
    ]
    reasons = reasons or ["some rules cannot be used, since they look at more than the training gives"]
    raise ConfigError(f"`families`: {'; '.join(reasons)}, but {but} {'; '.join(lines)}.")


def _what_is_usable(
    family: str, variables: Mapping[str, Variable], given: Given
) -> tuple[Given, dict[str, tuple[Value, ...]]]:
    """Return what a family looks at under its first values, and the options that remain of choices that must shrink."""
    first = {name: variable.start() for name, variable in variables.items()}
    least = create_policy(family, first).looks_at
    if _exceeds(least, given):
        return least, {}
    remaining: dict[str, tuple[Value, ...]] = {}
    for name, variable in variables.items():
        if not isinstance(variable.domain, Choices):
            continue
        options = variable.domain.choices
        usable = tuple(option for option in options if not _exceeds(_looks_at(family, {**first, name: option}), given))
        if len(usable) < len(options):
            remaining[name] = usable
    return least, remaining


def _looks_at(family: str, values: dict[str, Value]) -> Given:
    try:
        return create_policy(family, values).looks_at
    except PolicyError:  # an option that does not go with the other values; the search meets it with others
        return "losses"


def _exceeds(least: Given, given: Given) -> bool:
    return _ORDER.index(least) > _ORDER.index(given)


def _choices(options: tuple[Value, ...]) -> str:
    return json.dumps(options[0]) if len(options) == 1 else f"{{ choices = {json.dumps(options)} }}"
