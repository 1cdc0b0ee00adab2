"""Writes the numbers and names of a search's answers as text."""

from __future__ import annotations

import math

from policies.parameter import Value
from trainables.suggestion import OPTIONS


def family_title(family: str) -> str:
    """`norm_ratio_threshold` as words."""
    return family.replace("_", " ")


def setting_title(name: str) -> str:
    """A setting in words by its name in a suggestion: `learning_rate`, or `options.hint_weight` of the user's own."""
    return name.removeprefix(OPTIONS).replace("_", " ")


def percent(score: float | None, digits: int = 2) -> str:
    """An accuracy in [0, 1] as `86.00 %`; `–` where there is none."""
    return "–" if score is None or not math.isfinite(score) else f"{100 * score:.{digits}f} %"


def points(difference: float | None, digits: int = 2) -> str:
    """A difference of accuracies in percentage points, signed: `+1.20`."""
    if difference is None or not math.isfinite(difference):
        return "–"
    text = f"{100 * difference:+.{digits}f}"
    return f"±{text[1:]}" if float(text) == 0.0 else text.replace("-", "−")


def number(value: Value | None) -> str:
    """A setting as text: a number in at most three significant digits, an option by its name."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.3g}"


def count(amount: int, noun: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{amount:,} {noun}{'' if amount == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """Seconds in readable units: `48 s`, `2 min 5 s`, `3 h 20 min`."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def time_left(seconds: float | None) -> str:
    """`about 48 s left`; empty if it is not known or less than a second."""
    return "" if seconds is None or not seconds >= 1 else f"about {duration(seconds)} left"


def sentence_case(text: str) -> str:
    """The text with a capital first letter, unless it begins with λ."""
    return text if text.startswith("λ") else text[:1].upper() + text[1:]
