"""Computes the ranges in which the readings of one more training should lie, from those of some trainings."""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Sequence

from policies.monitoring.ranges import ConfirmedRanges, Range
from policies.monitoring.windows import READINGS, WINDOWS, from_scale, to_scale
from trainables.records import Conduct, ReadingWindows

FALSE_ALARM_RATE = 0.01
"""The chance that an undisturbed training leaves any of its ranges in any window, if means are normal between seeds."""

_FEWEST = 5
"""The fewest trainings that give a range. With three, Student's t makes it hundreds of times their spread."""
_LEAST_WIDTH = 0.02
"""The least half-width: absolute for numbers up to 1 and for logarithms, relative for larger ones. λ of a schedule has
no noise, but its mean over a window depends a little on the number of steps."""


def prediction_ranges(conducts: Sequence[Conduct | None]) -> ConfirmedRanges | None:
    """Return the range of each reading in each window; None if fewer than five trainings were recorded.

    The range is Student's prediction interval for one more training, at a level that Bonferroni's inequality divides
    among all readings and windows. So the chance of any false alarm in a training is at most `FALSE_ALARM_RATE`, if a
    window's mean is normally distributed between seeds.

    Args:
        conducts: those of single trainings of one rule, each under a seed of its own.
    """
    known = [conduct.readings for conduct in conducts if conduct is not None and conduct.readings]
    if len(known) < _FEWEST:
        return None
    read = {name: [one[name] for one in known if name in one] for name in READINGS}
    read = {name: found for name, found in read.items() if len(found) == len(known)}
    level = FALSE_ALARM_RATE / (WINDOWS * len(read))
    readings = {name: _range(name, found, level) for name, found in read.items()}
    return ConfirmedRanges(len(known), FALSE_ALARM_RATE, readings)


def _range(name: str, found: Sequence[ReadingWindows], level: float) -> Range:
    ends = [_ends(name, [one.means[window] for one in found], level) for window in range(WINDOWS)]
    counts = [count for one in found for count in one.counts if count]
    return Range(
        low=tuple(low for low, _ in ends),
        high=tuple(high for _, high in ends),
        observations=int(statistics.median_low(counts)),
    )


def _ends(name: str, means: Sequence[float | None], level: float) -> tuple[float | None, float | None]:
    """Return both ends for one window; None if some training had no reading there."""
    values = [to_scale(name, mean) for mean in means if mean is not None and math.isfinite(mean)]
    if len(values) < len(means):
        return None, None
    middle, count = statistics.fmean(values), len(values)
    width = _t_quantile(count - 1, level) * statistics.stdev(values) * math.sqrt(1.0 + 1.0 / count)
    width = max(width, _LEAST_WIDTH * max(1.0, abs(middle)))
    low, high = _possible(name, middle - width), _possible(name, middle + width)
    return _rounded(low), _rounded(high)


def _possible(name: str, value: float) -> float:
    """Return an end of a range as a reading, which cannot lie beyond the reading's bounds."""
    if name in ("norm_ratio", "task_loss", "distill_loss"):
        return from_scale(name, value)
    return min(1.0, max(-1.0 if name == "cosine" else 0.0, value))


@functools.lru_cache(maxsize=64)
def _t_quantile(freedom: int, level: float) -> float:
    """Return Student's t beyond which both tails together have the probability `level`."""
    from scipy.stats import t

    return float(t.isf(level / 2.0, freedom))


def _rounded(value: float) -> float | None:
    """Return six digits, which is more than a range needs; None if the range is infinite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
