"""Lets a policy declare each parameter once, beside its class.

Validation, the search space, `kd-search policies` and the report all derive from this one declaration.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any, Literal, Never, TypeAlias

from policies.errors import PolicyError, nearest

Value: TypeAlias = float | int | str
"""The value of a parameter; text for a choice."""

Tie: TypeAlias = Literal["", "steps", "losses", "learning rate"]
"""The scale that a number is tied to, so that it means something else where that scale is another.

`steps`: it acts once a step or measurement, so the number of steps matters. `losses`: the losses' unit matters.
`learning rate`: it stands for a product with the learning rate. Empty: it is free of scale, as are shares of the
training, cosines, ratios and λ itself.
"""


_MOST = sys.float_info.max


@dataclasses.dataclass(frozen=True)
class Parameter:
    """One number of a policy, or one choice among names.

    `low` and `high` are the inclusive bounds of what is valid. `search` is the range in which a search looks by
    default. `searched` is True if a search varies the parameter, unless the user's search file says otherwise. A choice
    has `options` instead of bounds. `tie` is the scale that the number is tied to.
    """

    kind: Literal["real", "integer", "choice"]
    default: Value
    meaning: str
    low: float = 0.0
    high: float = 0.0
    search: tuple[float, float] = (0.0, 0.0)
    log: bool = False
    searched: bool = True
    options: tuple[str, ...] = ()
    tie: Tie = ""

    def __post_init__(self) -> None:
        if self.kind == "choice":
            if self.default not in self.options:
                raise PolicyError(f"the default {self.default!r} must be one of the options {self.options}")
            return
        if not self.low <= self.search[0] <= self.search[1] <= self.high:
            raise PolicyError(f"`search` must lie inside [{self.low}, {self.high}], but got {self.search}")
        if self.log and self.search[0] <= 0:
            raise PolicyError(f"`log` needs a positive `search` range, but got {self.search}")

    def validate(self, owner: str, name: str, value: object) -> Value:
        """Return `value` as this parameter's kind.

        Raises:
            PolicyError: it is none of a choice's options; or it is not a number, not finite, not whole (for an integer)
                or outside [low, high].
        """
        label = f"`{owner}.{name}`"
        if self.kind == "choice":
            if not isinstance(value, str) or value not in self.options:
                hint = nearest(value, self.options) if isinstance(value, str) else ""
                options = ", ".join(self.options)
                raise PolicyError(f"{label} must be a choice of {options} ({self.meaning}), but got {value!r}.{hint}")
            return value
        rule = f"{self.kind} in [{self.low:g}, {self.high:g}] ({self.meaning})"
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PolicyError(f"{label} must be a {rule}, but got {value!r}.")
        if not max(self.low, -_MOST) <= value <= min(self.high, _MOST):  # which NaN is not, either
            raise PolicyError(f"{label} must be a {rule}, but got {value!r}.")
        if self.kind == "integer":
            if value != int(value):
                raise PolicyError(f"{label} must be a {rule}, but got {value!r}.")
            return int(value)
        return float(value)


def real(
    default: float,
    *misplaced: Never,
    low: float,
    high: float,
    meaning: str,
    search: tuple[float, float] | None = None,
    log: bool = False,
    searched: bool = True,
    tie: Tie = "",
) -> Any:
    """Declare a dataclass field that holds a real number.

    All arguments but the default are given by name, as in `integer` and `choice`.

    Args:
        default: the value of rules that are made without one.
        misplaced: always empty; collects arguments without a name.
        low: least valid value.
        high: greatest valid value.
        meaning: the meaning in a few words, for listings and messages.
        search: range that a search looks in; by default all that is valid.
        log: True if a search looks evenly over orders of magnitude.
        searched: True if a search varies it, unless the search file says otherwise.
        tie: the scale that the number is tied to; see `Tie`.

    Raises:
        PolicyError: an argument other than the default has no name, or the values contradict each other.
    """
    _all_by_name("real(0.5, low=0.0, high=1.0, meaning='…')", misplaced)
    return _declare(Parameter("real", default, meaning, low, high, search or (low, high), log, searched, tie=tie))


def integer(
    default: int,
    *misplaced: Never,
    low: int,
    high: int,
    meaning: str,
    search: tuple[int, int] | None = None,
    log: bool = False,
    searched: bool = True,
    tie: Tie = "",
) -> Any:
    """Declare a dataclass field that holds a whole number; see `real`."""
    _all_by_name("integer(5, low=1, high=9, meaning='…')", misplaced)
    return _declare(Parameter("integer", default, meaning, low, high, search or (low, high), log, searched, tie=tie))


def choice(default: str, *misplaced: Never, options: tuple[str, ...], meaning: str, searched: bool = True) -> Any:
    """Declare a dataclass field that holds one of a few names, `options`; see `real`."""
    _all_by_name("choice('a', options=('a', 'b'), meaning='…')", misplaced)
    return _declare(Parameter("choice", default, meaning, searched=searched, options=options))


def percent(share: float) -> str:
    """Format a share with three digits, so that a small one is not shown as 0: `2.5%`."""
    return f"{100.0 * share:.3g}%"


def brief(value: Value) -> str:
    """Format a value for a label, with at most three significant digits and no zero before the point: `.25`, `-.1`."""
    if isinstance(value, str):
        return value
    text = f"{value:.3g}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _all_by_name(example: str, misplaced: tuple[object, ...]) -> None:
    if misplaced:
        found = ", ".join(map(repr, misplaced))
        raise PolicyError(
            f"a parameter's declaration takes all but the default by keyword, like {example}, but got {found} without"
            " one; add the keyword."
        )


def _declare(parameter: Parameter) -> Any:
    return dataclasses.field(default=parameter.default, metadata={"parameter": parameter})
