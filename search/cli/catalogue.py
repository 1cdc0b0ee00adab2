"""Lists the families of λ rules from their own declarations, for people and programs."""

from __future__ import annotations

import contextlib
import inspect
import textwrap
from typing import Any

from policies.errors import PolicyError
from policies.extensions import origin_of
from policies.families import FAMILIES
from policies.parameter import Parameter
from policies.policy import Need, Policy
from policies.registry import policy_class
from search.wording import number

_NEEDS: dict[Need, str] = {
    "progress": "the training's progress",
    "geometry": "the gradients",
    "losses": "the losses",
    "teacher": "the teacher's outputs",
    "reliability": "how often the teacher has been right",
}
"""The readings that a rule may need, in words."""


def catalogue() -> list[dict[str, Any]]:
    """Every family with its meaning, source and parameters."""
    return [
        {
            "family": family,
            "meaning": (inspect.getdoc(policy) or "").partition("\n")[0],
            "source": policy.source,
            "origin": origin_of(policy),
            "scope": policy.scope,
            "needs": _needs(policy),
            "default_rule": policy.from_parameters({}).rule(),
            "complexity": policy.from_parameters({}).complexity,
            "parameters": [
                {
                    "name": name,
                    "kind": parameter.kind,
                    "default": parameter.default,
                    **_domain(parameter),
                    "meaning": parameter.meaning,
                    "tie": parameter.tie,
                }
                for name, parameter in policy.parameters().items()
            ],
        }
        for family, policy in FAMILIES.items()
    ]


def entry_of(name: str) -> dict[str, Any]:
    """The family of this name, or the one that an alias stands for.

    Raises:
        PolicyError: there is none; the message names the nearest one.
    """
    family = policy_class(name).family
    return next(entry for entry in catalogue() if entry["family"] == family)


def _needs(policy: type[Policy]) -> list[Need]:
    """Return the readings that a rule needs under its defaults, or with another option of one of its choices."""
    needs = set(policy.from_parameters({}).needs)
    for name, parameter in policy.parameters().items():
        for option in parameter.options:
            with contextlib.suppress(PolicyError):  # options that do not go with the other defaults
                needs |= policy.from_parameters({name: option}).needs
    return [need for need in _NEEDS if need in needs]


def _domain(parameter: Parameter) -> dict[str, Any]:
    """Return the valid values, and those that are searched unless the search file says otherwise (None: none)."""
    if parameter.kind == "choice":
        options = list(parameter.options)
        return {"options": options, "search": options if parameter.searched else None}
    search = list(parameter.search) if parameter.searched else None
    return {"valid": [parameter.low, parameter.high], "search": search, "log": parameter.log}


def short_catalogue(width: int | None) -> str:
    """A line for each family, under what it gives and what it looks at.

    Args:
        width: in which long lines are broken; None for no limit.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for entry in catalogue():
        groups.setdefault(_heading(entry), []).append(entry)
    longest = max(len(entry["family"]) for entries in groups.values() for entry in entries)
    blocks = [
        "\n".join([f"{heading}:", *(_line(entry, longest, width) for entry in entries)])
        for heading, entries in groups.items()
    ]
    return "\n\n".join([*blocks, "Show one in full: kd-search policies NAME; show all: --all"])


def _heading(entry: dict[str, Any]) -> str:
    if entry["scope"] == "sample":
        return "One λ for each sample, from its logits or other outputs"
    if not entry["needs"]:
        return "One λ per step, without readings"
    *others, last = (_NEEDS[need] for need in entry["needs"])
    return f"One λ per step, from {' and '.join(filter(None, (', '.join(others), last)))}"


def _line(entry: dict[str, Any], longest: int, width: int | None) -> str:
    text = f"  {entry['family']:<{longest}}  {entry['meaning']}"
    return textwrap.fill(text, width or len(text) + 1, subsequent_indent=" " * (longest + 4), break_on_hyphens=False)


def print_entry(entry: dict[str, Any]) -> None:
    """All that a family declares."""
    from search.progress import Terminal
    from search.report import Column, FittedTable

    console, parameters = Terminal(), entry["parameters"]
    table = FittedTable(
        (
            Column("parameter", [parameter["name"] for parameter in parameters], right=False),
            Column("default", [number(parameter["default"]) for parameter in parameters], right=False),
            Column("search range", [_span(parameter) for parameter in parameters], right=False, wraps=True),
            Column("at scale", [_at_scale(parameter) for parameter in parameters], right=False),
            Column("meaning", [parameter["meaning"] for parameter in parameters], right=False, wraps=True),
        ),
        [""] * len(parameters),
        title=f"{entry['family']}: {entry['meaning']}",
    )
    console.print(table)
    origin = f"; {entry['origin']}" if entry["origin"] else ""
    console.print(f"{_heading(entry)}. By default: {entry['default_rule']}", markup=False)
    console.print(f"Source: {entry['source']}{origin}", markup=False)


def _at_scale(parameter: dict[str, Any]) -> str:
    """Say whether a number means the same at another scale."""
    return f"tied to the {parameter['tie']}" if parameter["tie"] else "the same"


def _span(parameter: dict[str, Any]) -> str:
    """Describe the searched values; for a choice that is not searched, the valid ones."""
    if "options" in parameter:
        return f"{' | '.join(parameter['options'])}{'' if parameter['search'] else ' (not searched)'}"
    if not parameter["search"]:
        return "not searched"
    low, high = parameter["search"]
    return f"{low:g} – {high:g}{' (log)' if parameter['log'] else ''}"
