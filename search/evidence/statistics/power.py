"""Computes the gains that a number of seeds and of test samples can show.

A gain is shown if its test is significant at the level that Holm's correction demands of the first of several rules.
Effects are Cohen's d_z: the mean difference in standard deviations of the differences by seed.
"""

from __future__ import annotations

import bisect
import functools
import math

from search.evidence.statistics.two_noises import TwoNoises

LEVEL = 0.05
"""Two-sided level for all rules of a confirmation together. A rule is wrongly called better at most half as often."""
POWER = 0.8
MOST_SEEDS = 1_000
"""No larger number of seeds is ever recommended: a gain that needs more is of no use."""
MOST_SAMPLES = 1_000_000
"""No larger test set is ever recommended."""


@functools.cache
def detectable_effect(seeds: int, chances: int) -> float:
    """Return the smallest effect that `seeds` (at least 2) paired differences show with a power of 0.8.

    Args:
        seeds: the number of paired differences.
        chances: the number of tests that share the level, which is that of the rules (times the looks).
    """
    from scipy import special

    critical = special.stdtrit(seeds - 1, 1.0 - _level(chances))
    return float(special.nctdtrinc(seeds - 1, 1.0 - POWER, critical)) / math.sqrt(seeds)


def detectable_gain(noises: TwoNoises, chances: int) -> float:
    """Return the smallest true gain that a test with these noises shows with a power of 0.8.

    The seeds' part is that of a paired t-test, the samples' part that of a normal test; their squares add up.
    """
    return _gain(noises, noises.seeds, noises.samples, chances)


def seeds_for(distance: float, noises: TwoNoises, chances: int) -> int | None:
    """Return the fewest seeds that show a true gain of `distance` with a power of 0.8, on the same test samples.

    The result is None if that is above `MOST_SEEDS`, which is always so if the samples alone leave more noise. The
    distance is mostly an observed gain, so the number is as uncertain as that gain.
    """
    if distance <= 0.0:
        return None
    counts = range(2, MOST_SEEDS + 1)
    place = bisect.bisect_left(counts, -distance, key=lambda seeds: -_gain(noises, seeds, noises.samples, chances))
    return counts[place] if place < len(counts) else None


def samples_for(distance: float, noises: TwoNoises, seeds: int, chances: int) -> int | None:
    """Return the fewest test samples that show a true gain of `distance` with a power of 0.8.

    The result is None if no number up to `MOST_SAMPLES` does, as when the seeds leave more noise. It is also None if
    the noise of the samples is not known.
    """
    if noises.samples is None or distance <= 0.0:
        return None
    seed, sample, residual = noises.deviations
    effect, quantile = detectable_effect(seeds, chances) / shortfall(noises.seeds), _quantile(chances)
    room = distance**2 - effect**2 * seed**2
    if room <= 0.0:
        return None
    needed = math.ceil((effect**2 * residual**2 + quantile**2 * sample**2) / room)
    return needed if needed <= MOST_SAMPLES else None


def samples_leave(noises: TwoNoises) -> float:
    """Return half of the 95 % interval that any number of seeds would leave on these test samples; 0 if not known."""
    if noises.samples is None:
        return 0.0
    from scipy import special

    return float(special.ndtri(1.0 - LEVEL / 2.0)) * noises.deviations[1] / math.sqrt(noises.samples)


@functools.cache
def shortfall(seeds: int) -> float:
    """Return the median of a sample's standard deviation, as a factor of the true one.

    Few seeds understate the noise more often than not (with 5 by 8 %). Without this factor, a gain that is called
    detectable would be missed more often than promised.
    """
    from scipy import stats

    return math.sqrt(float(stats.chi2.median(seeds - 1)) / (seeds - 1))


def _gain(noises: TwoNoises, seeds: int, samples: int | None, chances: int) -> float:
    seed, sample, residual = noises.deviations
    if samples is None:
        return detectable_effect(seeds, chances) * math.sqrt(noises.seed_square) / shortfall(noises.seeds)
    by_seed = math.sqrt(max(seed**2 + residual**2 / samples, noises.seed_square)) / shortfall(noises.seeds)
    by_sample = sample / math.sqrt(samples)
    return math.hypot(detectable_effect(seeds, chances) * by_seed, _quantile(chances) * by_sample)


@functools.cache
def _quantile(chances: int) -> float:
    """Return a normal test's detectable mean, in standard errors."""
    from scipy import special

    return float(special.ndtri(1.0 - _level(chances)) + special.ndtri(POWER))


def _level(chances: int) -> float:
    """Return the one-sided level of the first and hardest step of Holm's procedure."""
    return LEVEL / 2.0 / max(chances, 1)
