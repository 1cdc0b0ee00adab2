"""The families of λ rules, as they declare themselves, for people and programs."""

from __future__ import annotations

import inspect
from typing import Any

from policies.extensions import origin_of
from policies.parameter import Parameter
from policies.registry import FAMILIES
from search.wording import number


def catalogue() -> list[dict[str, Any]]:
    """Every family with its meaning, source and parameters."""
    return [
        {
            "family": family,
            "meaning": (inspect.getdoc(policy) or "").partition("\n")[0],
            "source": policy.source,
            "origin": origin_of(policy),
            "scope": policy.scope,
            "default_rule": policy.from_parameters({}).rule(),
            "complexity": policy.from_parameters({}).complexity,
            "parameters": [
                {
                    "name": name,
                    "kind": parameter.kind,
                    "default": parameter.default,
                    **_domain(parameter),
                    "meaning": parameter.meaning,
                }
                for name, parameter in policy.parameters().items()
            ],
        }
        for family, policy in FAMILIES.items()
    ]


def _domain(parameter: Parameter) -> dict[str, Any]:
    """What is valid, and what is searched unless the search file says otherwise (None: nothing)."""
    if parameter.kind == "choice":
        options = list(parameter.options)
        return {"options": options, "search": options if parameter.searched else None}
    search = list(parameter.search) if parameter.searched else None
    return {"valid": [parameter.low, parameter.high], "search": search, "log": parameter.log}


def print_catalogue() -> None:
    """The catalogue as tables."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    for entry in catalogue():
        table = Table(title=f"{entry['family']}: {entry['meaning']}", title_justify="left", title_style="bold")
        for heading in ("parameter", "default", "search range", "meaning"):
            table.add_column(heading)
        for parameter in entry["parameters"]:
            table.add_row(parameter["name"], number(parameter["default"]), _span(parameter), parameter["meaning"])
        console.print(table)
        scope = "one λ for each sample" if entry["scope"] == "sample" else "one λ a step"
        origin = f"; {entry['origin']}" if entry["origin"] else ""
        console.print(f"{scope}; source: {entry['source']}{origin}\n", markup=False)


def _span(parameter: dict[str, Any]) -> str:
    """What is searched, in words; of a choice that is not searched, what it may be."""
    if "options" in parameter:
        return f"{' | '.join(parameter['options'])}{'' if parameter['search'] else ' (not searched)'}"
    if not parameter["search"]:
        return "not searched"
    low, high = parameter["search"]
    return f"{low:g} – {high:g}{' (log)' if parameter['log'] else ''}"
