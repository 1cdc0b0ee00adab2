import numpy as np

from search.constants.squeeze import Squeeze

SCORES = np.array([0.93, 0.925, 0.92, 0.918, 0.91, 0.9, 0.55, 0.4])


def test_good_scores_stay_low_ones_come_nearer_in_the_same_order_and_all_come_back():
    squeeze = Squeeze.of(SCORES, 0.0)
    squeezed = squeeze.apply(SCORES)
    assert squeezed[:5].tolist() == SCORES[:5].tolist()
    assert 0.8 < squeezed[7] < squeezed[6] < squeezed[5]
    np.testing.assert_allclose(squeeze.undo(squeezed), SCORES)


def test_nothing_is_given_back_below_the_lowest_score():
    squeeze = Squeeze.of(SCORES, 0.0)
    np.testing.assert_allclose(squeeze.undo(np.array([-5.0])), 0.4)


def test_equal_scores_stay_equal():
    same = np.full(4, 0.9)
    assert Squeeze.of(same, 0.0).apply(same).tolist() == same.tolist()


def test_noise_alone_squeezes_nothing():
    scores = np.array([0.9, 0.9, 0.9, 0.899, 0.897])
    assert Squeeze.of(scores, 0.002).apply(scores).tolist() == scores.tolist()
