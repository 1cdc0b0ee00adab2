"""The settings of a confirmation."""

from __future__ import annotations

import pydantic

from trainables.records import ACCURACY
from trainables.settings import Settings

SMALLEST_POINTS = 0.5
"""The smallest gain that is worth a rule, in percentage points of accuracy, unless a search sets another."""


def smallest_difference(objective: str, smallest_gain: float | None) -> float | None:
    """Return the smallest gain that counts as a difference of scores; None for a metric of which none was set.

    Args:
        objective: the score's name.
        smallest_gain: points of accuracy, or the metric's unit; None if the search sets none.
    """
    if objective == ACCURACY:
        return (SMALLEST_POINTS if smallest_gain is None else smallest_gain) / 100.0
    return smallest_gain


class GivenConstant(Settings):
    """A constant λ that is confirmed in any case, such as the one in use today."""

    weight: float = pydantic.Field(ge=0, le=1)
    """λ."""
    learning_rate: float | None = pydantic.Field(None, gt=0)
    """Its learning rate, if the search tunes one; by default that of the best constant."""
    temperature: float | None = pydantic.Field(None, gt=0, le=1000)
    """Its temperature, if the search tunes one; by default that of the best constant."""

    @property
    def shared(self) -> dict[str, float]:
        """The settings that are given, by names in a suggestion."""
        return self.model_dump(exclude={"weight"}, exclude_none=True)


class ConfirmationSettings(Settings):
    """Settings of a confirmation: which finalists it trains, and on how many seeds."""

    seeds: int = pydantic.Field(10, ge=2, le=1000)
    """The number of fresh seeds, the same for every finalist. With one alone, a lead could not be told from noise."""
    families: tuple[str, ...] | None = None
    """The families whose best rule is confirmed; by default all of the search. Constants are always confirmed."""
    student: str | None = None
    """The student whose finalists are confirmed, if the search has several; by default, that of the best trial."""
    more_constants: int = pydantic.Field(4, ge=0, le=100)
    """The most constants to retry at the learning rate and temperature of the best rules."""
    constants: tuple[GivenConstant, ...] = ()
    """Constants to confirm in any case, in addition to those that the search names."""
    smallest_gain: float | None = pydantic.Field(None, gt=0)
    """The smallest gain that is worth a rule, in the metric's own unit. For accuracy these are percentage points, 0.5
    by default. For a KPI it is the KPI's unit; if not given, the answer is never that no rule is worth it."""
