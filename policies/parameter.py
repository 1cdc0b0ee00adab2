"""How a policy declares a parameter: once, beside its class.

Validation, the search space, `kd-search policies` and the report all derive from this one declaration.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

from policies.errors import PolicyError


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One number of a policy.

    `low` and `high` bound what is valid (inclusive); `search` is the range in which a search looks by default and
    `searched` says whether a search varies it at all unless the user's search file says otherwise.
    """

    kind: Literal["real", "integer"]
    default: float
    low: float
    high: float
    search: tuple[float, float]
    log: bool
    searched: bool
    meaning: str

    def __post_init__(self) -> None:
        if not self.low <= self.search[0] <= self.search[1] <= self.high:
            raise PolicyError(f"`search` must lie inside [{self.low}, {self.high}], but got {self.search}")
        if self.log and self.search[0] <= 0:
            raise PolicyError(f"`log` needs a positive `search` range, but got {self.search}")

    def validate(self, owner: str, name: str, value: object) -> float | int:
        """`value` as a number of this parameter's kind.

        Raises:
            PolicyError: it is not a number, not finite, not whole (for an integer) or outside [low, high].
        """
        label = f"`{owner}.{name}`"
        rule = f"{self.kind} in [{self.low:g}, {self.high:g}] ({self.meaning})"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PolicyError(f"{label} must be a {rule}, but got {value!r}.")
        if not math.isfinite(value) or not self.low <= value <= self.high:
            raise PolicyError(f"{label} must be a {rule}, but got {value!r}.")
        if self.kind == "integer":
            if value != int(value):
                raise PolicyError(f"{label} must be a {rule}, but got {value!r}.")
            return int(value)
        return float(value)


def real(
    default: float,
    *,
    low: float,
    high: float,
    meaning: str,
    search: tuple[float, float] | None = None,
    log: bool = False,
    searched: bool = True,
) -> Any:
    """A dataclass field that holds a real number."""
    return _declare(Parameter("real", default, low, high, search or (low, high), log, searched, meaning))


def integer(
    default: int,
    *,
    low: int,
    high: int,
    meaning: str,
    search: tuple[int, int] | None = None,
    log: bool = False,
    searched: bool = True,
) -> Any:
    """A dataclass field that holds a whole number."""
    return _declare(Parameter("integer", default, low, high, search or (low, high), log, searched, meaning))


def _declare(parameter: Parameter) -> Any:
    return dataclasses.field(default=parameter.default, metadata={"parameter": parameter})
