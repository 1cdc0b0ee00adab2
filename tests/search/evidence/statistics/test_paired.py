import itertools
import math

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy import stats

from search.evidence.statistics.paired import holm, paired_test

OURS = {1: 0.871, 2: 0.874, 3: 0.869, 4: 0.880}
THEIRS = {1: 0.865, 2: 0.870, 3: 0.868, 4: 0.871}


def test_figures_are_scipys_paired_t_test():
    test = paired_test(OURS, THEIRS, resolution=1e-4)
    peer = stats.ttest_rel(list(OURS.values()), list(THEIRS.values()))
    interval = peer.confidence_interval(0.95)
    assert test.seeds == (1, 2, 3, 4)
    assert test.mean == pytest.approx(0.005)
    assert test.p_value == pytest.approx(peer.pvalue)
    assert (test.low, test.high) == pytest.approx((interval.low, interval.high))
    assert test.effect_size == pytest.approx(peer.statistic / math.sqrt(4))


def test_equal_differences_are_as_uncertain_as_one_picture():
    test = paired_test({1: 0.50, 2: 0.60, 3: 0.70}, {1: 0.49, 2: 0.59, 3: 0.69}, resolution=0.01)
    assert test.deviation == 0.01
    assert test.effect_size == pytest.approx(1.0)
    assert test.p_value == pytest.approx(2 * stats.t.sf(math.sqrt(3), 2))
    assert test.low < 0


def test_equal_differences_of_unknown_resolution_claim_no_certainty():
    test = paired_test({1: 0.50, 2: 0.60, 3: 0.70}, {1: 0.49, 2: 0.59, 3: 0.69})
    assert test.mean == pytest.approx(0.01)
    assert (test.deviation, test.low, test.p_value, test.effect_size, test.p_ahead) == (None,) * 5


def test_one_seed_in_common_gives_a_mean_without_noise():
    test = paired_test({1: 0.5, 2: 0.6}, {2: 0.5, 3: 0.6}, resolution=0.01)
    assert test.seeds == (2,)
    assert test.mean == pytest.approx(0.1)
    assert test.p_value is None


def test_scores_that_are_not_finite_are_no_scores():
    test = paired_test({**OURS, 5: math.nan}, {**THEIRS, 5: 0.9, 1: math.inf}, resolution=1e-4)
    assert test.seeds == (2, 3, 4)
    assert paired_test({1: math.nan}, {1: 0.5}) is None
    assert paired_test({1: 0.5}, {2: 0.5}) is None


@hypothesis.settings(deadline=None)
@hypothesis.given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=12), st.sampled_from([0.0, 1e-3]), st.integers(0, 900)
)
def test_swapping_both_swaps_the_sign_and_nothing_else(steps, resolution, base):
    theirs = dict.fromkeys(range(len(steps)), base / 1000)
    ours = {seed: (base + step) / 1000 for seed, step in enumerate(steps)}
    there, back = paired_test(ours, theirs, resolution), paired_test(theirs, ours, resolution)
    assert there.mean == -back.mean
    assert there.p_value == back.p_value
    if there.low is not None and there.p_value is not None:
        assert back.high == -there.low
        assert (there.low > 0 or back.low > 0) == (there.p_value < 0.05)
        assert there.p_ahead == (there.p_value if there.mean > 0 else 1.0)


def test_holm_corrects_in_the_order_given():
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))
    assert holm([1.0, 0.9]) == pytest.approx((1.0, 1.0))
    assert holm([]) == ()


@hypothesis.given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferronis(p_values):
    """A p-value is corrected to the largest that Bonferroni gives to any set of hypotheses that it is in."""
    places = range(len(p_values))
    sets = [found for size in places for found in itertools.combinations(places, size + 1)]
    worth = {found: min(1.0, len(found) * min(p_values[place] for place in found)) for found in sets}
    assert holm(p_values) == pytest.approx([max(worth[found] for found in sets if place in found) for place in places])


def test_seeds_are_too_few_where_the_interval_reaches_further_than_the_scores():
    two = paired_test({1: 0.34, 2: 0.48}, {1: 0.35, 2: 0.45}, resolution=0.01)
    assert two.too_few_seeds
    assert (two.low, two.high) == pytest.approx((-0.2441, 0.2641), abs=1e-4)
    close = paired_test({1: 0.34, 2: 0.45}, {1: 0.33, 2: 0.438}, resolution=0.001)  # the pairing tells them apart
    assert not close.too_few_seeds


def test_equal_scores_of_many_seeds_are_not_called_too_few():
    same = paired_test(dict.fromkeys(range(5), 0.9), dict.fromkeys(range(5), 0.9), resolution=0.01)
    assert same.low is not None
    assert not same.too_few_seeds


@pytest.mark.parametrize(("seeds", "least", "most"), [(2, 0.8, 1.0), (3, 0.4, 0.95), (5, 0.0, 0.1), (10, 0.0, 0.0)])
def test_how_often_seeds_are_too_few_where_pairing_does_not_help(seeds, least, most):
    drawn = np.random.default_rng(0).normal(0.8, 0.01, (300, 2, seeds))
    found = [paired_test(dict(enumerate(ours)), dict(enumerate(theirs))) for ours, theirs in drawn]
    assert least <= np.mean([test.too_few_seeds for test in found]) <= most
