"""A family's best trial by expected scores."""

import numpy as np

from search.propose import Observation, expected_scores
from search.propose.choice import best_by_model
from search.propose.space import Variable
from search.settings.domains import Interval

OWN = {"a.x": Variable(Interval(low=0.0, high=1.0), 0.5)}


def trials(places, scores):
    return [
        Observation({"a.x": place}, {}, None if score is None else (score,))
        for place, score in zip(places, scores, strict=True)
    ]


def test_a_lucky_trial_among_bad_ones_is_not_the_best():
    places = np.linspace(0.0, 1.0, 17)
    scores = -8.0 * (places - 0.75) ** 2
    scores[3] = 0.1
    observed = trials(places, scores)
    assert int(np.argmax(scores)) == 3
    assert abs(places[best_by_model(OWN, contexts={}, observed=observed)] - 0.75) < 0.2


def test_many_seeds_are_believed():
    observed = trials([0.1, 0.12, 0.14, 0.8, 0.82], [0.0, 1.0, 0.0, 0.4, 0.4])
    seeds = [1, 100, 1, 1, 1]
    one, many = (expected_scores(OWN, contexts={}, observed=observed, seeds=s)[1] for s in (None, seeds))
    assert many > one


def test_failed_trials_have_no_expected_score_and_are_not_chosen():
    observed = trials([0.1, 0.5, 0.9], [None, 0.2, None])
    expected = expected_scores(OWN, contexts={}, observed=observed)
    assert [score is None for score in expected] == [True, False, True]
    assert best_by_model(OWN, contexts={}, observed=observed) == 1
    assert best_by_model(OWN, contexts={}, observed=observed[:1]) is None


def test_without_parameters_the_best_score_wins():
    observed = [Observation({}, {}, (score,)) for score in (0.1, 0.3, 0.2)]
    assert best_by_model({}, contexts={}, observed=observed) == 1
