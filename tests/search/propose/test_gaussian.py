"""The model of few and noisy scores."""

import numpy as np
import pytest

from search.propose.gaussian import fit

ORDERED = np.array([False])


def line(count):
    return np.linspace(0.0, 1.0, count)[:, None]


def test_a_mean_follows_clear_scores():
    points = line(12)
    scores = np.sin(4.0 * points[:, 0])
    posterior = fit(points, scores, ORDERED)
    between = points[:-1] + 0.04
    assert posterior.mean(between) == pytest.approx(np.sin(4.0 * between[:, 0]), abs=0.12)


def test_scores_without_a_pattern_are_moved_towards_their_mean():
    scores = np.random.default_rng(0).normal(size=30)
    assert fit(line(30), scores, ORDERED).mean(line(30)).std() < 0.5 * scores.std()


def test_a_pending_point_is_less_uncertain_and_means_stay():
    points, scores, away = line(5)[:3], np.array([0.0, 1.0, 0.5]), np.array([[0.9]])
    without, with_pending = (fit(points, scores, ORDERED, pending=pending) for pending in (None, away))
    assert with_pending.at(away)[1].max() < without.at(away)[1].max()
    assert with_pending.mean(away) == pytest.approx(without.mean(away))


def test_options_are_equally_far_from_one_another():
    points = np.array([[1 / 6], [5 / 6], [1 / 6], [5 / 6]])
    posterior = fit(points, np.array([1.0, -1.0, 1.0, -1.0]), np.array([True]))
    unseen = posterior.mean(np.array([[0.5]]))[0]
    assert posterior.mean(points[:1])[0] > unseen > posterior.mean(points[1:2])[0]
    assert unseen == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_scores_are_enough(count):
    mean, deviation = fit(line(count), np.ones(count), ORDERED).at(line(3))
    assert np.isfinite(mean).all()
    assert (deviation > 0.0).all()


def test_scaled_and_shifted_scores_give_scaled_and_shifted_means():
    points, scores = line(6), np.random.default_rng(1).normal(size=6)
    plain, moved = (fit(points, values, ORDERED).mean(points) for values in (scores, 80.0 + 0.01 * scores))
    assert moved == pytest.approx(80.0 + 0.01 * plain)
