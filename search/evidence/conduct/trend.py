"""Detects a score that still rises at the end of a training, or that has fallen from its peak.

A rule may win because it speeds up training or because it regularises. More epochs, early stopping or weight decay
would do that as well. Both show in the curve of validation scores, if it moves by more than its own noise.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

_LAST_SHARE = 0.25
_FEWEST = 4
"""The fewest evaluations that show the noise."""
_LEVEL = 0.005
"""One-sided level of each test: of 100 flat curves one is flagged at most, half of them for rising."""


class Trend(NamedTuple):
    """The end of a curve of scores: `rising` over its last quarter, or `fallen` from its peak.

    `amount` is the rise over the last quarter or the fall, as a difference of scores. `since` is the evaluation,
    counted from 0, from which the rise is measured or at which the peak was.
    """

    kind: Literal["rising", "fallen"]
    amount: float
    since: int


def curve_noise(curves: Iterable[Sequence[float]]) -> float | None:
    """Estimate the noise of one evaluation: a standard deviation, the median over curves; None if all are too short.

    Second differences of a curve do not depend on its level or slope; those of pure noise have the variance 6σ². A bend
    of the curve adds to them, so the noise is overestimated rather than underestimated. The first third, where scores
    rise steeply, is left out.

    Args:
        curves: scores at evenly spread evaluations, one curve a training.
    """
    found = []
    for curve in curves:
        settled = curve[len(curve) // 3 :] if len(curve) >= _FEWEST else ()
        bends = [a - 2.0 * b + c for a, b, c in zip(settled, settled[1:], settled[2:], strict=False)]
        if bends and all(map(math.isfinite, bends)):
            found.append(statistics.fmean(bend**2 for bend in bends) / 6.0 / _median_of(len(bends)))
    return math.sqrt(statistics.median(found)) if found else None


def _median_of(bends: int) -> float:
    """Return the median of a variance from this many second differences, over its mean (Wilson and Hilferty 1931).

    Neighbouring differences share two of three scores, so they count as about half as many independent ones.
    """
    freedom = 0.45 + 0.55 * bends
    return (1.0 - 2.0 / (9.0 * freedom)) ** 3


def trend(curve: Sequence[float], noise: float, matters: float) -> Trend | None:
    """Find how a curve ends; None if it is level within its noise.

    A rise is the slope of a line through the last quarter of the evaluations, at least three. A fall is from the
    highest to the last score. With eight evaluations or more, each of the two is a mean over three neighbours. The
    highest of many is partly luck, so the test is corrected for their number.

    Args:
        curve: scores at evenly spread evaluations; higher is better.
        noise: that of one evaluation, as `curve_noise` returns it.
        matters: rises and falls up to this are ignored.
    """
    if len(curve) < _FEWEST or not all(map(math.isfinite, curve)):
        return None
    return _fall(curve, noise, matters) or _rise(curve, noise, matters)


def _rise(curve: Sequence[float], noise: float, matters: float) -> Trend | None:
    last = max(3, math.ceil(_LAST_SHARE * len(curve)))
    slope = statistics.linear_regression(range(last), curve[-last:]).slope
    amount = slope * (last - 1)
    clear = slope > _quantile(1) * noise / math.sqrt(last * (last**2 - 1) / 12)
    return Trend("rising", amount, len(curve) - last) if clear and amount > matters else None


def _fall(curve: Sequence[float], noise: float, matters: float) -> Trend | None:
    window = 3 if len(curve) >= 8 else 1
    means = [statistics.fmean(curve[i : i + window]) for i in range(len(curve) - window + 1)]
    peak = max(range(len(means)), key=means.__getitem__)
    amount = means[peak] - means[-1]
    clear = amount > _quantile(len(means) - 1) * noise * math.sqrt(2.0 / window)
    return Trend("fallen", amount, peak + window // 2) if clear and amount > matters else None


def _quantile(comparisons: int) -> float:
    """Return the quantile of the standard normal distribution, with Bonferroni's correction."""
    return statistics.NormalDist().inv_cdf(1.0 - _LEVEL / comparisons)
