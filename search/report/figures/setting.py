"""Places the values of a searched setting on an axis."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from policies.families import FAMILIES
from policies.parameter import Parameter, Value
from search.wording import number, setting_title

SHARED = {"learning_rate": "peak of the schedule", "temperature": "T, softens both models' outputs"}
"""The settings of every search that are searched alike for all families, with their meanings."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setting:
    """A setting that was varied, with its range; `options` are the values of a choice, in order."""

    name: str
    log: bool
    options: tuple[str, ...]
    low: float
    high: float

    @property
    def title(self) -> str:
        """The name in words."""
        return setting_title(self.name)

    def place(self, value: Value) -> float:
        """Return a number as it is, and an option as its index."""
        return _place(self.options, value)


def varied(name: str, values: Sequence[Value], *, log: bool) -> Setting | None:
    """Return the axis of a setting; None if it was not varied.

    Args:
        name: the setting's name.
        values: its values.
        log: the axis is logarithmic, if all values are numbers above zero.
    """
    if len(set(values)) < 2:
        return None
    options = tuple(sorted({value for value in values if isinstance(value, str)}))
    places = [_place(options, value) for value in values]
    low, high = min(places), max(places)
    return Setting(name=name, log=log and low > 0, options=options, low=low, high=high)


def declared_parameters(family: str) -> dict[str, Parameter]:
    """Return a family's parameters; none if it is not known here."""
    return FAMILIES[family].parameters() if family in FAMILIES else {}


def in_words(value: Value) -> str:
    """Return a value, or a name, as it stands in a figure."""
    return number(value).replace("_", " ").replace("-", "−")


def _place(options: tuple[str, ...], value: Value) -> float:
    return float(options.index(value)) if isinstance(value, str) else float(value)
