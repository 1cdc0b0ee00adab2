import numpy as np
import pytest
from scipy import stats

from search.evidence.statistics.two_noises import TwoNoises, two_noises

SHARES = [(1, 0, 0), (0, 0, 1), (0.8, 0.15, 0.05), (0.5, 0.25, 0.25), (0.1, 0.8, 0.1)]
"""Shares of the variance of the mean: the seeds', the samples' and the residual's."""


def mean_squares(rng, seeds, samples, seed, sample, residual):
    """Draw `two_noises` of normal effects: mean and mean squares are independent, each of a known distribution."""

    def square(expected, freedom):
        return float(expected * rng.chisquare(freedom) / freedom)

    variance = seed**2 / seeds + sample**2 / samples + residual**2 / seeds / samples
    return TwoNoises(
        mean=float(rng.standard_normal() * np.sqrt(variance)),
        seeds=seeds,
        samples=samples,
        seed_square=square(seed**2 + residual**2 / samples, seeds - 1),
        sample_square=square(seeds * sample**2 + residual**2, samples - 1),
        residual_square=square(residual**2, (seeds - 1) * (samples - 1)),
    )


def test_mean_squares_are_those_of_a_two_way_analysis_of_variance():
    values = np.random.default_rng(0).standard_normal((4, 7)).astype(np.float32)
    found = two_noises(values)
    grand, rows, columns = values.mean(), values.mean(axis=1), values.mean(axis=0)
    rest = values - rows[:, None] - columns[None, :] + grand
    assert found.mean == pytest.approx(grand, abs=1e-7)
    assert found.seed_square == pytest.approx(rows.var(ddof=1), rel=1e-5)
    assert found.sample_square == pytest.approx(4 * columns.var(ddof=1), rel=1e-5)
    assert found.residual_square == pytest.approx((rest**2).sum() / (3 * 6), rel=1e-5)


def test_without_samples_it_is_students_paired_t():
    ours, theirs = np.array([0.871, 0.874, 0.869, 0.880]), np.array([0.865, 0.870, 0.868, 0.871])
    differences = ours - theirs
    peer = stats.ttest_rel(ours, theirs)
    interval = peer.confidence_interval(0.95)
    found = TwoNoises(mean=float(differences.mean()), seeds=4, samples=None, seed_square=float(differences.var(ddof=1)))
    assert found.p_value == pytest.approx(peer.pvalue)
    assert found.mean - found.half_width(0.05) == pytest.approx(interval.low)
    assert found.careful_half_width(0.05) == pytest.approx(found.half_width(0.05))


@pytest.mark.parametrize("seeds", [3, 10, 100])
def test_a_persistent_disagreement_leaves_a_noise_that_no_seed_removes(seeds):
    one = np.zeros(497, np.float32)
    one[:8], one[8:15] = 1.0, -1.0  # 3 % of the samples, on which two students differ under every seed
    found = two_noises(np.tile(one, (seeds, 1)))
    assert 100 * found.half_width(0.05) == pytest.approx(1.96 * 100 * one.std() / 497**0.5, rel=0.01)


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("samples", [60, 400])
@pytest.mark.parametrize("shares", SHARES, ids=str)
def test_intervals_cover_as_often_as_they_say(seeds, samples, shares):
    rng, draws = np.random.default_rng(seeds * samples), 2_000
    seed, sample, residual = np.sqrt(np.array(shares) * (seeds, samples, seeds * samples))
    found = [mean_squares(rng, seeds, samples, seed, sample, residual) for _ in range(draws)]
    inside = sum(abs(one.mean) <= one.half_width(0.05) for one in found)
    assert inside / draws == pytest.approx(0.95, abs=0.022)  # 1 point, plus chance


@pytest.mark.parametrize("level", [0.05, 0.05 / 29])
def test_claims_with_three_seeds_are_not_wrong_too_often_also_far_in_the_tail(level):
    rng, draws = np.random.default_rng(1), 20_000
    found = [mean_squares(rng, 3, 400, np.sqrt(0.8 * 3), np.sqrt(0.2 * 400), 0.0) for _ in range(draws)]
    assert sum(abs(one.mean) > one.careful_half_width(level) for one in found) <= stats.binom.ppf(0.999, draws, level)


def test_the_p_value_is_the_level_at_which_the_careful_interval_reaches_zero():
    rng = np.random.default_rng(2)
    values = 0.02 + 0.01 * rng.standard_normal((5, 1)) + 0.1 * rng.standard_normal((1, 300))
    found = two_noises(values + 0.1 * rng.standard_normal((5, 300)))
    assert found.careful_half_width(found.p_value) == pytest.approx(abs(found.mean))
    assert found.careful_half_width(0.05) >= found.half_width(0.05)


def test_equal_differences_are_as_uncertain_as_one_sample():
    assert two_noises(np.zeros((4, 100), np.float32), resolution=0.01).error == pytest.approx(0.01 / 2)
