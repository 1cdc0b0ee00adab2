"""Holds the ranges in which a rule's readings lay in confirmed trainings, as `policy.json` keeps them."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from policies.errors import PolicyError
from policies.monitoring.windows import READINGS, WINDOWS

Ends = tuple[float | None, ...]


class Range(NamedTuple):
    """One reading's range in each window; None in windows in which it was not read.

    `observations` is the number of readings that a window's mean was taken over, in the median.
    """

    low: Ends
    high: Ends
    observations: int


class ConfirmedRanges(NamedTuple):
    """The ranges of all readings of a rule.

    `trainings` is the number of trainings that they were computed from. `false_alarm_rate` is the chance, for which
    they were made, that a training like those leaves one of them anywhere.
    """

    trainings: int
    false_alarm_rate: float
    readings: dict[str, Range]

    def document(self) -> dict[str, Any]:
        """Return the ranges as JSON values, for `policy.json`."""
        readings = {
            name: {"observations": one.observations, "low": list(one.low), "high": list(one.high)}
            for name, one in self.readings.items()
        }
        return {"trainings": self.trainings, "false_alarm_rate": self.false_alarm_rate, "readings": readings}


class ConstantRule(NamedTuple):
    """The best constant λ of the search, and the temperature that it was found with."""

    weight: float
    temperature: float


def read_ranges(document: dict[str, Any]) -> ConfirmedRanges | None:
    """Read the ranges of a `policy.json`; None if it has none, as one of an earlier release.

    Raises:
        PolicyError: its `monitoring` is not as `ConfirmedRanges.document` writes it.
    """
    stored = document.get("monitoring")
    if stored is None:
        return None
    try:
        readings = {
            str(name): Range(_ends(one["low"]), _ends(one["high"]), int(one["observations"]))
            for name, one in stored["readings"].items()
        }
        found = ConfirmedRanges(int(stored["trainings"]), float(stored["false_alarm_rate"]), readings)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PolicyError(
            f"`monitoring` of the policy file must hold `trainings`, `false_alarm_rate` and, for each of `readings`,"
            f" `observations` and {WINDOWS} numbers or null as `low` and `high` ({type(error).__name__}: {error});"
            " write the file anew with `kd-search report NAME`."
        ) from error
    if unknown := set(found.readings) - set(READINGS):
        raise PolicyError(
            f"`monitoring` of the policy file has the unknown reading {min(unknown)!r}; known: {', '.join(READINGS)}."
        )
    return found


def read_constant(document: dict[str, Any]) -> ConstantRule | None:
    """Read the best constant of a `policy.json`; None if it has none.

    Raises:
        PolicyError: λ is not in [0, 1], or the temperature is not positive.
    """
    stored = document.get("constant")
    if stored is None:
        return None
    try:
        found = ConstantRule(float(stored["weight"]), float(stored["temperature"]))
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(
            f"`constant` of the policy file must hold the numbers `weight` and `temperature`, but got {stored!r}."
        ) from error
    if not 0.0 <= found.weight <= 1.0 or not 0.0 < found.temperature < math.inf:
        raise PolicyError(
            "`constant` of the policy file must have 0 <= `weight` <= 1 and a positive `temperature`, but got"
            f" {stored!r}."
        )
    return found


def _ends(values: list[float | None]) -> Ends:
    if len(values) != WINDOWS:
        raise ValueError(f"{len(values)} windows")
    return tuple(None if value is None else float(value) for value in values)
