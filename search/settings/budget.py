"""Reads the time that a search may take, such as "2h" or "1h30m"."""

from __future__ import annotations

import re
from typing import Annotated, Any

import pydantic

_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0}
_FORM = re.compile(r"(?:(\d+(?:\.\d+)?)d)?(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?")
NO_BUDGET = "none"
"""The value that takes a budget away again, since TOML has no null."""


def seconds_of(text: str) -> float:
    """Return the seconds of a time like `1h30m`.

    Raises:
        ValueError: it is no time, or not above zero.
    """
    match = _FORM.fullmatch(text.replace(" ", "").lower())
    seconds = 0.0
    if match is not None:
        seconds = sum(float(part or 0.0) * each for part, each in zip(match.groups(), _SECONDS.values(), strict=True))
    if seconds <= 0.0:
        raise ValueError('should be a time with units, like "2h", "90m" or "1h30m"; "none" for no budget')
    return seconds


def budget_text(seconds: float) -> str:
    """Write a time as a budget, rounded up to minutes, or to seconds below two minutes: `1h30m`."""
    if seconds < 2 * _SECONDS["m"]:
        return f"{max(1, -int(-seconds // 1))}s"
    minutes = -int(-seconds // _SECONDS["m"])
    hours, minutes = divmod(minutes, 60)
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if minutes or not hours else "")


def _read(value: Any) -> Any:
    if value is None or value == NO_BUDGET:
        return None
    if not isinstance(value, str):
        raise ValueError('should be a time with units, like "2h", "90m" or "1h30m"; "none" for no budget')
    seconds_of(value)
    return value


Budget = Annotated[str | None, pydantic.BeforeValidator(_read)]
"""The time that a search may take, as text; None for no limit."""
