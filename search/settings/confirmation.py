"""The settings of a confirmation."""

from __future__ import annotations

import pydantic

from trainables.settings import Settings

SMALLEST_POINTS = 0.5
"""Percentage points of accuracy below which a gain is not worth a rule, unless a search says otherwise."""


class ConfirmationSettings(Settings):
    """Who is confirmed, and on how many seeds."""

    seeds: int = pydantic.Field(10, ge=2, le=1000)
    """Fresh ones, the same for every finalist. One alone could not tell a lead from noise."""
    families: tuple[str, ...] | None = None
    """Whose best rule is confirmed; every family of the search when not given. Constants are confirmed in any case."""
    student: str | None = None
    """Whose finalists are confirmed, where the search has several students; that of the best trial when not given."""
    more_constants: int = pydantic.Field(4, ge=0, le=100)
    """The most constants to retry at the learning rate and temperature of the best rules."""
    smallest_gain: float | None = pydantic.Field(None, gt=0)
    """The smallest gain that would be worth a rule, in the metric's own unit: percentage points of accuracy, 0.5 when
    not given; what the KPI is counted in, and without it the answer is never that no rule is worth it."""
