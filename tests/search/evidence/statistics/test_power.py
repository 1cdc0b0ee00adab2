import numpy as np
import pytest
from scipy import stats

from search.evidence.statistics.power import (
    MOST_SEEDS,
    detectable_effect,
    detectable_gain,
    samples_for,
    samples_leave,
    seeds_for,
    shortfall,
)
from search.evidence.statistics.two_noises import TwoNoises, two_noises


@pytest.mark.parametrize("seeds", [3, 5, 10, 30])
@pytest.mark.parametrize("rules", [1, 5, 12])
def test_the_detectable_effect_is_seen_four_times_in_five(seeds, rules):
    effect = detectable_effect(seeds, rules)
    samples = np.random.default_rng(0).normal(effect, 1.0, (20_000, seeds))
    test = stats.ttest_1samp(samples, 0.0, axis=1)
    seen = np.mean((test.pvalue <= 0.05 / rules) & (test.statistic > 0))
    assert seen == pytest.approx(0.8, abs=0.015)


def by_seeds(deviation, seeds=10):
    return TwoNoises(mean=0.0, seeds=seeds, samples=None, seed_square=deviation**2)


def by_both(seed, sample, residual, seeds=10, samples=500):
    return TwoNoises(
        mean=0.0,
        seeds=seeds,
        samples=samples,
        seed_square=seed**2 + residual**2 / samples,
        sample_square=seeds * sample**2 + residual**2,
        residual_square=residual**2,
    )


@pytest.mark.parametrize("rules", [1, 5])
@pytest.mark.parametrize("seeds", [4, 10, 47])
def test_the_seeds_needed_for_a_gain_are_those_that_detect_it(seeds, rules):
    gain = detectable_effect(seeds, rules) * 0.3 / shortfall(10)
    assert seeds_for(gain * 1.001, by_seeds(0.3), rules) == seeds
    assert seeds_for(gain * 0.999, by_seeds(0.3), rules) == seeds + 1


def test_a_gain_that_no_affordable_number_of_seeds_shows_needs_no_number():
    noises = by_seeds(1.0)
    assert seeds_for(0.0, noises, 5) is None
    assert seeds_for(-1.0, noises, 5) is None
    assert seeds_for(detectable_effect(MOST_SEEDS, 5) * 0.99, noises, 5) is None
    assert seeds_for(1e6, noises, 5) == 2


def test_seeds_cannot_show_a_gain_within_the_noise_of_the_samples_and_samples_can():
    noises = by_both(seed=0.002, sample=0.15, residual=0.2)
    assert samples_leave(noises) == pytest.approx(1.96 * 0.15 / 500**0.5, rel=1e-4)
    assert seeds_for(0.01, noises, 1) is None
    needed = samples_for(0.01, noises, 10, 1)
    # This number of samples shows it, and one less does not.
    assert detectable_gain(by_both(0.002, 0.15, 0.2, samples=needed), 1) <= 0.01
    assert detectable_gain(by_both(0.002, 0.15, 0.2, samples=needed - 1), 1) > 0.01


def test_samples_cannot_show_a_gain_within_the_noise_of_the_seeds():
    noises = by_both(seed=0.02, sample=0.15, residual=0.2)
    assert samples_for(0.01, noises, 10, 1) is None
    assert seeds_for(0.1, noises, 1) is not None
    assert samples_for(0.1, by_seeds(0.02), 10, 1) is None


def test_a_detectable_gain_is_seen_four_times_in_five_with_both_noises():
    rng, noises = np.random.default_rng(0), by_both(seed=0.01, sample=0.2, residual=0.3)
    gain, seen = detectable_gain(noises, 1) * shortfall(10), 0  # the deviations are known here
    for _ in range(600):
        drawn = gain + 0.01 * rng.standard_normal((10, 1)) + 0.2 * rng.standard_normal((1, 500))
        found = two_noises(drawn + 0.3 * rng.standard_normal((10, 500)))
        seen += found.mean > 0 and found.p_value <= 0.05
    assert seen / 600 == pytest.approx(0.8, abs=0.06)


def test_more_rules_and_fewer_seeds_need_larger_effects():
    assert detectable_effect(5, 12) > detectable_effect(5, 5) > detectable_effect(10, 5)


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_shortfall_is_the_middle_sample_deviation(seeds):
    samples = np.random.default_rng(0).standard_normal((20_000, seeds))
    assert float(np.median(samples.std(axis=1, ddof=1))) == pytest.approx(shortfall(seeds), rel=0.01)
