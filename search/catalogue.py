"""The families of λ rules, as they declare themselves, for people and programs."""

from __future__ import annotations

import inspect
from typing import Any

from policies.registry import FAMILIES


def catalogue() -> list[dict[str, Any]]:
    """Every family with its meaning, source and parameters."""
    return [
        {
            "family": family,
            "meaning": (inspect.getdoc(policy) or "").partition("\n")[0],
            "source": policy.source,
            "default_rule": policy.from_parameters({}).rule(),
            "complexity": policy.from_parameters({}).complexity,
            "parameters": [
                {
                    "name": name,
                    "kind": parameter.kind,
                    "default": parameter.default,
                    "valid": [parameter.low, parameter.high],
                    "search": list(parameter.search) if parameter.searched else None,
                    "log": parameter.log,
                    "meaning": parameter.meaning,
                }
                for name, parameter in policy.parameters().items()
            ],
        }
        for family, policy in FAMILIES.items()
    ]


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
            search = parameter["search"]
            span = f"{search[0]:g} – {search[1]:g}{' (log)' if parameter['log'] else ''}" if search else "not searched"
            table.add_row(parameter["name"], f"{parameter['default']:g}", span, parameter["meaning"])
        console.print(table)
        console.print(f"source: {entry['source']}\n", markup=False)
