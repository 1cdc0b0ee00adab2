"""What a number of seeds can show.

A gain is seen when the paired t-test calls it one at the level that Holm's correction asks of the first of several
rules. Effects are Cohen's d_z: the mean difference in standard deviations of the differences.
"""

from __future__ import annotations

import bisect
import functools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from statsmodels.stats.power import TTestPower

LEVEL = 0.05
"""Two-sided, for all rules of a confirmation together; so a rule is wrongly called better in half as many at most."""
POWER = 0.8
MOST_SEEDS = 1_000
"""Where more seeds are needed than this, their number is not told: such a gain is of no use."""


@functools.cache
def detectable_effect(seeds: int, chances: int) -> float:
    """The smallest effect that `seeds` (at least 2) paired differences show with a power of 0.8.

    Args:
        seeds: paired differences.
        chances: how many tests share the level, which are the rules (times the looks).
    """
    return float(_power().solve_power(nobs=seeds, alpha=_level(chances), power=POWER, alternative="larger"))


def seeds_needed(effect: float, chances: int) -> int | None:
    """The smallest number of seeds that shows `effect` with a power of 0.8; None if that is above `MOST_SEEDS`.

    `effect` is mostly one that was observed, and as uncertain as that.
    """
    if effect <= 0.0:
        return None
    counts, test, level = range(2, MOST_SEEDS + 1), _power(), _level(chances)
    place = bisect.bisect_left(
        counts, POWER, key=lambda seeds: float(test.power(effect, seeds, level, alternative="larger"))
    )
    return counts[place] if place < len(counts) else None


@functools.cache
def shortfall(seeds: int) -> float:
    """How much smaller than the true one a sample's standard deviation is in the middle, as a factor.

    Few seeds understate the noise more often than not (with 5 by 8 %), so a gain called detectable from their deviation
    as it stands would be missed more often than promised.
    """
    from scipy import stats

    return math.sqrt(float(stats.chi2.median(seeds - 1)) / (seeds - 1))


def _level(chances: int) -> float:
    """One-sided, of the first and hardest step of Holm's procedure."""
    return LEVEL / 2.0 / max(chances, 1)


@functools.cache
def _power() -> TTestPower:
    from statsmodels.stats.power import TTestPower

    return TTestPower()
