"""Had a training ended when it ended? A score that still rises, or that fell, is told beside any gain.

A rule may win because it speeds training up or because it regularises, which more epochs, early stopping or weight
decay would do as well. Both show in the curve of validation scores, if it moves by more than its own noise.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

_LAST_SHARE = 0.25
_FEWEST = 4
"""Evaluations; fewer show no noise."""
_LEVEL = 0.005
"""One-sided, for each curve: of 100 flat curves one is flagged at most, half of them for rising."""


class Trend(NamedTuple):
    """How a curve of scores ends: `rising` over its last quarter, or `fallen` from its peak.

    `amount` is the rise over the last quarter or the fall, as a difference of scores; `since` the evaluation, from 0,
    that the rise is measured from or that the peak was at.
    """

    kind: Literal["rising", "fallen"]
    amount: float
    since: int


def curve_noise(curves: Iterable[Sequence[float]]) -> float | None:
    """The noise of one evaluation: a standard deviation, the median over curves; None if no curve is long enough.

    Second differences of a curve know neither its level nor its slope: those of pure noise have the variance 6σ². What
    bend a curve has adds to them, so the noise is rather over- than underestimated. The first third, where scores rise
    steeply, is left out.

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
    """The median of a variance from so many second differences, over its mean (Wilson and Hilferty 1931).

    Neighbours share two of three scores, so they count as about half as many independent ones.
    """
    freedom = 0.45 + 0.55 * bends
    return (1.0 - 2.0 / (9.0 * freedom)) ** 3


def trend(curve: Sequence[float], noise: float, matters: float) -> Trend | None:
    """How a curve ends; None if it is level as far as its noise tells.

    A rise is the slope of a line through the last quarter of the evaluations, three at least. A fall is from the
    highest to the last score, from eight evaluations on each a mean over three neighbours; the highest of many is
    partly luck, so the test is corrected for their number.

    Args:
        curve: scores at evenly spread evaluations, higher being better.
        noise: of one evaluation, as `curve_noise` gives it.
        matters: rises and falls up to this are not told.
    """
    if len(curve) < _FEWEST or not all(map(math.isfinite, curve)):
        return None
    return _fall(curve, noise, matters) or _rise(curve, noise, matters)


def _rise(curve: Sequence[float], noise: float, matters: float) -> Trend | None:
    last = max(3, math.ceil(_LAST_SHARE * len(curve)))
    tail = curve[-last:]
    places = [i - (last - 1) / 2 for i in range(last)]
    width = sum(place**2 for place in places)
    slope = sum(place * score for place, score in zip(places, tail, strict=True)) / width
    amount = slope * (last - 1)
    clear = slope > _quantile(1) * noise / math.sqrt(width)
    return Trend("rising", amount, len(curve) - last) if clear and amount > matters else None


def _fall(curve: Sequence[float], noise: float, matters: float) -> Trend | None:
    window = 3 if len(curve) >= 8 else 1
    means = [statistics.fmean(curve[i : i + window]) for i in range(len(curve) - window + 1)]
    peak = max(range(len(means)), key=means.__getitem__)
    amount = means[peak] - means[-1]
    clear = amount > _quantile(len(means) - 1) * noise * math.sqrt(2.0 / window)
    return Trend("fallen", amount, peak + window // 2) if clear and amount > matters else None


def _quantile(comparisons: int) -> float:
    """Of the standard normal distribution, with Bonferroni's correction."""
    return statistics.NormalDist().inv_cdf(1.0 - _LEVEL / comparisons)
