"""Few seeds say so much of each arm."""

import numpy as np
import pytest

from search.diagnosis.posterior import estimate, infer


def drawn(rng, truth, noise, seeds=3):
    """Return scores [K, S] of arms with these levels; seeds move all arms alike."""
    truth = np.asarray(truth)
    return truth[:, None] + rng.normal(0.0, 0.02, seeds) + rng.normal(0.0, noise, (len(truth), seeds))


def test_intervals_hold_the_true_gain_about_as_often_as_they_say():
    rng, inside = np.random.default_rng(3), 0
    for _ in range(60):
        truth = rng.normal(0.0, 0.01, 8)
        posterior = infer(drawn(rng, truth, 0.005))
        best = 1 + int(posterior.means[1:].argmax())
        found = estimate(posterior.levels[:, best] - posterior.levels[:, 0])
        inside += found.low <= truth[best] - truth[0] <= found.high
    assert 51 <= inside <= 60


def test_the_best_of_equal_arms_is_expected_to_gain_less_than_its_raw_lead():
    rng = np.random.default_rng(5)
    raw, expected = [], []
    for _ in range(25):
        scores = drawn(rng, np.zeros(8), 0.01)
        posterior = infer(scores)
        order = np.sort(posterior.means[1:])
        means = np.sort(scores.mean(1)[1:])
        expected.append(order[-1] - order.mean())
        raw.append(means[-1] - means.mean())
    assert np.mean(expected) < 0.6 * np.mean(raw)


def test_the_labels_alone_are_not_drawn_to_the_other_arms():
    rng = np.random.default_rng(7)
    scores = drawn(rng, [0.0, *[0.05] * 7], 0.005)
    found = infer(scores)
    lead = scores.mean(1)[1:].mean() - scores.mean(1)[0]
    assert found.means[1:].mean() - found.means[0] == pytest.approx(lead, abs=1e-3)


def test_an_arm_far_behind_does_not_make_rivals_look_different():
    rng = np.random.default_rng(9)
    scores = drawn(rng, np.zeros(8), 0.005)
    behind = np.vstack([scores, scores[1:2] - 0.4])
    found, without = infer(behind).means, infer(scores).means
    assert np.ptp(found[1:8]) < 2.0 * np.ptp(without[1:]) + 1e-3
    assert found[8] - found[1:8].mean() == pytest.approx(behind.mean(1)[8] - behind.mean(1)[1:8].mean(), abs=3e-3)


def test_few_samples_widen_the_interval():
    rng = np.random.default_rng(11)
    answers = np.repeat((rng.random((5, 1, 80)) < 0.8).astype(float), 3, 1)
    answers[rng.random(answers.shape) < 0.05] = 1.0
    scores = answers.mean(2)
    wide, narrow = infer(scores, answers), infer(scores)
    assert wide.levels[:, 0].std() > 1.2 * narrow.levels[:, 0].std()


def test_equal_scores_are_no_certainty():
    found = infer(np.full((4, 3), 0.9), resolution=0.01)
    assert found.noise == 0.01
    assert 0.003 < (found.levels[:, 1] - found.levels[:, 0]).std() < 0.03


def test_the_same_scores_give_the_same_draws():
    scores = drawn(np.random.default_rng(1), np.zeros(4), 0.01)
    assert np.array_equal(infer(scores).levels, infer(scores).levels)
