"""Reads the KPI gates of a search file: bounds that a champion must keep. Imports no torch."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Literal, TypeAlias

from search.errors import nearest
from search.metrics import METRICS, RUNNING_COSTS, Metric, RunningCost, Unit, in_unit
from trainables.errors import ConfigError
from trainables.settings import Settings

Operator: TypeAlias = Literal[">=", "<=", ">", "<"]
_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}
_SIGNS = {">=": "≥", "<=": "≤", ">": ">", "<": "<"}
_FORM = re.compile(r"\s*(>=|<=|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(\S*)\s*")
_FACTORS: dict[str, dict[str, float]] = {
    "%": {"": 1.0, "%": 0.01},
    "ms": {"": 1.0, "ms": 1.0, "s": 1000.0},
    "B": {"": 1.0, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9},
    "FLOPs": {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12},
    "samples/s": {"": 1.0, "samples/s": 1.0},
    "nats": {"": 1.0, "nats": 1.0},
    "": {"": 1.0},
}
"""Unit of a metric -> the units in which a bound may be written, with their factors."""
_KNOWN: dict[str, Metric | RunningCost] = {**{metric.name: metric for metric in METRICS}, **RUNNING_COSTS}


class Gate(Settings):
    """A bound that the champion must keep."""

    name: str
    """The metric, the cost or the user's own KPI."""
    operator: Operator
    bound: float
    """The bound in the unit in which the figure is stored: shares in [0, 1], milliseconds, bytes."""
    unit: Unit
    is_cost: bool
    """True for what the student costs to run; it is the same for all finalists."""

    @property
    def words(self) -> str:
        """The gate as people read it, such as `accuracy ≥ 90.00 %`."""
        return f"{self.name} {_SIGNS[self.operator]} {in_unit(self.bound, self.unit)}"

    def holds(self, value: float | None) -> bool:
        """Tell whether a value keeps the bound; one that was not measured does not."""
        return value is not None and math.isfinite(value) and _HOLDS[self.operator](value, self.bound)

    def shown(self, value: float | None) -> str:
        """Return a value as people read it."""
        return in_unit(value, self.unit) or "not measured"


def gates_of(texts: Mapping[str, str], own: Collection[str] = ()) -> tuple[Gate, ...]:
    """Read gates, such as `{"accuracy": ">= 0.9"}`.

    Args:
        texts: the bounds by the names of what they bound.
        own: names that are KPIs of the user's own, whatever else has that name.

    Raises:
        ConfigError: a bound is malformed, or its unit or operator does not suit what it bounds; names all mistakes.
    """
    found, problems = [], []
    for name, text in texts.items():
        try:
            found.append(_gate(name, text, own=name in own))
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError(" ".join(problems))
    return tuple(found)


def check_gate_names(texts: Mapping[str, str], measured: Collection[str]) -> None:
    """Make sure that each gate bounds a cost, or a figure that is measured.

    Args:
        texts: the gates.
        measured: the names of metrics and KPIs.

    Raises:
        ConfigError: a name is not known.
    """
    known = [*dict.fromkeys(measured), *RUNNING_COSTS]
    for name in texts:
        if name not in known:
            raise ConfigError(
                f"`gates` must name what is measured: {', '.join(known)}; but got {name!r}.{nearest(name, known)}"
            )


def _gate(name: str, text: str, *, own: bool) -> Gate:
    parts = _FORM.fullmatch(text)
    if parts is None:
        raise ConfigError(
            f'`gates.{name}` must be an operator and a number, such as ">= 0.9" or "<= 2 ms", but got {text!r}.'
        )
    sign, digits, suffix = parts.groups()
    metric = None if own else _KNOWN.get(name)
    unit: Unit = "" if metric is None else metric.unit
    factors = _FACTORS[unit]
    if suffix not in factors:
        units = ", ".join(repr(known) for known in factors if known) or "none"
        raise ConfigError(f"`gates.{name}` may have these units: {units}; but got {suffix!r} in {text!r}.")
    bound = float(digits) * factors[suffix]
    if unit == "%" and not 0.0 <= bound <= 1.0:
        raise ConfigError(
            f'`gates.{name}` must be a share in [0, 1] or a percentage like "{sign} 90 %", but got {text!r}.'
        )
    wanted = {"maximize": (">=", ">"), "minimize": ("<=", "<")}
    if metric is not None and sign not in wanted[metric.direction]:
        better = "more" if metric.direction == "maximize" else "less"
        raise ConfigError(
            f"`gates.{name}` must use {' or '.join(wanted[metric.direction])}, since {better} of it is better, but got"
            f" {text!r}."
        )
    return Gate(name=name, operator=sign, bound=bound, unit=unit, is_cost=isinstance(metric, RunningCost))
