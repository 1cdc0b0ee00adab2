import numpy as np
import pytest
from scipy import stats

from search.evidence.power import MOST_SEEDS, detectable_effect, seeds_needed, shortfall


@pytest.mark.parametrize("seeds", [3, 5, 10, 30])
@pytest.mark.parametrize("rules", [1, 5, 12])
def test_the_detectable_effect_is_seen_four_times_in_five(seeds, rules):
    effect = detectable_effect(seeds, rules)
    samples = np.random.default_rng(0).normal(effect, 1.0, (20_000, seeds))
    test = stats.ttest_1samp(samples, 0.0, axis=1)
    seen = np.mean((test.pvalue <= 0.05 / rules) & (test.statistic > 0))
    assert seen == pytest.approx(0.8, abs=0.015)


@pytest.mark.parametrize("rules", [1, 5])
@pytest.mark.parametrize("seeds", [4, 10, 47])
def test_the_seeds_needed_for_an_effect_are_those_that_detect_it(seeds, rules):
    assert seeds_needed(detectable_effect(seeds, rules) * 1.001, rules) == seeds
    assert seeds_needed(detectable_effect(seeds, rules) * 0.999, rules) == seeds + 1


def test_an_effect_that_no_affordable_number_of_seeds_shows_needs_no_number():
    assert seeds_needed(0.0, 5) is None
    assert seeds_needed(-1.0, 5) is None
    assert seeds_needed(detectable_effect(MOST_SEEDS, 5) * 0.99, 5) is None
    assert seeds_needed(1e6, 5) == 2


def test_more_rules_and_fewer_seeds_need_larger_effects():
    assert detectable_effect(5, 12) > detectable_effect(5, 5) > detectable_effect(10, 5)


@pytest.mark.parametrize("seeds", [3, 10])
def test_the_shortfall_is_the_middle_sample_deviation(seeds):
    samples = np.random.default_rng(0).standard_normal((20_000, seeds))
    assert float(np.median(samples.std(axis=1, ddof=1))) == pytest.approx(shortfall(seeds), rel=0.01)
