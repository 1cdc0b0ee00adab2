import numpy as np
import pytest

from search.constants.acquisition import knowledge_gradient
from search.constants.model import fit

PLACES = np.linspace(0.0, 1.0, 9)[:, None]
SCORES = 0.8 - 0.05 * (PLACES[:, 0] - 0.4) ** 2 + 0.002 * np.random.default_rng(0).standard_normal(9)
TWO = np.full(9, 2.0)


def test_the_unit_of_the_score_changes_nothing():
    within = (8 * 0.002**2, 8)
    shares = fit(PLACES, SCORES, TWO, within=within)
    points = fit(PLACES, 100.0 * SCORES - 7.0, TWO, within=(1e4 * within[0], 8))
    assert points.mean(PLACES) == pytest.approx(100.0 * shares.mean(PLACES) - 7.0, abs=1e-6)
    assert points.noise == pytest.approx(100.0 * shares.noise)


def test_without_noise_the_surface_goes_through_its_points():
    smooth = np.sin(3.0 * PLACES[:, 0])
    assert fit(PLACES, smooth, TWO, within=(1e-9, 100)).mean(PLACES) == pytest.approx(smooth, abs=0.02)


def test_scores_that_are_all_noise_make_a_flat_surface():
    noise = np.random.default_rng(1).standard_normal(9)
    posterior = fit(PLACES, noise, np.ones(9), within=(30.0, 30))
    assert np.ptp(posterior.mean(PLACES)) < 0.5 * np.ptp(noise)


def test_seeds_of_one_point_tell_the_noise():
    quiet, loud = (fit(PLACES, SCORES, TWO, within=(20 * noise**2, 20)).noise for noise in (0.002, 0.02))
    assert quiet == pytest.approx(0.002, rel=0.3)
    assert loud == pytest.approx(0.02, rel=0.3)


def test_equal_scores_are_no_error():
    posterior = fit(PLACES, np.full(9, 0.5), TWO)
    assert posterior.mean(PLACES) == pytest.approx(0.5)
    assert np.isfinite(posterior.joint(PLACES)[1]).all()


def test_one_score_is_enough_for_a_mean():
    assert fit(PLACES[:1], SCORES[:1], TWO[:1]).mean(PLACES) == pytest.approx(SCORES[0])


def test_what_lies_near_a_pending_point_becomes_less_uncertain_and_its_mean_stays():
    gap = np.array([[0.44]])
    before, after = fit(PLACES, SCORES, TWO), fit(PLACES, SCORES, TWO, pending=gap)
    assert (np.diagonal(after.joint(gap)[1], 0, 1, 2) < np.diagonal(before.joint(gap)[1], 0, 1, 2)).all()
    assert after.mean(gap) == pytest.approx(before.mean(gap))


def test_covariances_are_symmetric_and_positive():
    _, covariances = fit(PLACES, SCORES, TWO).joint(np.linspace(0, 1, 20)[:, None])
    assert covariances == pytest.approx(np.swapaxes(covariances, 1, 2), abs=1e-9)
    assert (np.linalg.eigvalsh(covariances) > -1e-9).all()


def test_a_point_pays_near_the_best_and_not_where_it_is_surely_worse():
    places = np.linspace(0.0, 1.0, 17)[:, None]
    steep = -2.0 * (places[:, 0] - 0.4) ** 2 + 0.05 * np.random.default_rng(0).standard_normal(17)
    posterior = fit(places, steep, np.full(17, 2.0), within=(17 * 0.07**2, 17))
    near, far = knowledge_gradient(posterior, places, np.array([[0.41], [0.97]]), 2.0)
    assert near > far >= -1e-9
