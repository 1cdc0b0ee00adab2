import math

import numpy as np
import pytest

from search.constants import ConstantPoint, ConstantScore, SurfaceDomain, fit_surface, level_sides
from search.constants.surface import gaps
from search.settings.domains import Interval
from tests.search.constants.planted import FOUR, ONE, SEVERAL, line, scored, search

DENSE = (0.0, 0.05, 0.15, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.65, 0.75, 0.85, 0.95, 1.0)


def peak(weight):
    return 0.8 - 0.1 * (weight - 0.4) ** 2


def test_no_score_no_surface():
    assert fit_surface([None, None], ONE) is None


def test_the_chosen_constant_is_near_the_best_and_the_certificate_holds():
    surface = fit_surface(line(DENSE, peak, noise=0.001), ONE)
    assert surface.chosen.weight in (0.35, 0.4, 0.45)
    assert surface.certificate.holds
    assert surface.certificate.reason == ""
    assert surface.certificate.trainings == 2 * len(DENSE)


def test_neighbours_that_were_not_tried_are_the_reason():
    surface = fit_surface(line((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), peak, noise=0.001), ONE)
    assert not surface.certificate.holds
    assert "not tried closely enough" in surface.certificate.reason


def test_an_end_of_the_range_needs_no_neighbour_beyond():
    surface = fit_surface(line((0.0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0), lambda w: 0.8 - 0.2 * w, noise=0.001), ONE)
    assert surface.chosen.weight == 0.0
    assert gaps(ONE, surface.places, surface.places[surface.best])[0] == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_the_highest_score_is_chosen_or_a_rival(seed):
    scores = line(DENSE, peak, noise=0.006, seed=seed)
    surface = fit_surface(scores, ONE)
    highest = max(scores, key=lambda entry: sum(entry.scores.values()))
    assert highest.point in (surface.chosen, *surface.rivals)


def test_the_surface_chooses_better_than_the_highest_score_does():
    def loss(point):
        return peak(0.4) - peak(point.weight)

    searches = [line(DENSE, peak, noise=0.01, seed=seed) for seed in range(40)]
    by_surface = [loss(fit_surface(scores, ONE).chosen) for scores in searches]
    by_score = [loss(max(scores, key=lambda entry: sum(entry.scores.values())).point) for scores in searches]
    assert np.mean(by_surface) < np.mean(by_score)


def test_a_training_that_collapsed_does_not_move_the_choice():
    scores = line(DENSE, peak, noise=0.001)
    scores[-1] = ConstantScore(point=scores[-1].point, scores={0: 0.1, 1: 0.1})
    assert fit_surface(scores, ONE).chosen.weight in (0.35, 0.4, 0.45)


def test_what_a_seed_does_to_all_constants_is_no_difference_between_them():
    two, shift = line(DENSE, peak, noise=0.001), {2: 0.05, 3: 0.05}
    more = [
        ConstantScore(point=e.point, scores={**e.scores, **{s: peak(e.point.weight) + by for s, by in shift.items()}})
        if e.point.weight in (0.3, 0.85)
        else e
        for e in two
    ]
    assert fit_surface(more, ONE).chosen.weight in (0.3, 0.35, 0.4, 0.45)


def test_the_noise_is_that_of_one_training():
    surface = fit_surface(line(DENSE, peak, noise=0.005, seeds=(0, 1, 2, 3)), ONE)
    assert surface.noise == pytest.approx(0.005, rel=0.4)


def test_the_curve_is_highest_near_the_best_constant():
    rows = fit_surface(line(DENSE, peak, noise=0.001), ONE).curve()
    best = max(rows, key=lambda row: row.mean)
    assert best.weight == pytest.approx(0.4, abs=0.08)
    assert all(row.low <= row.mean <= row.high for row in rows)
    assert (rows[0].weight, rows[-1].weight) == (0.0, 1.0)


def test_each_constant_has_the_learning_rate_that_is_best_for_it():
    def tilted(point):
        """Return an accuracy whose best learning rate grows from .005 at λ = 0 to .05 at λ = 1."""
        return 0.8 - 0.04 * math.log10(point.learning_rate / (0.005 * 10.0**point.weight)) ** 2

    random = np.random.default_rng(0)
    places = [SEVERAL.decode(place) for place in random.random((60, 3))]
    surface = fit_surface([scored(point, random, tilted, 0.001) for point in places], SEVERAL)
    labels, teacher = surface.best_for(0.0), surface.best_for(1.0)
    assert labels.learning_rate == pytest.approx(0.005, rel=0.8)
    assert teacher.learning_rate == pytest.approx(0.05, rel=0.8)
    assert labels.learning_rate < teacher.learning_rate


def test_the_best_weight_at_given_settings_follows_them():
    def tilted(point):
        return 0.8 - 0.3 * (point.weight - 0.5 - 0.3 * math.log10(point.learning_rate / 0.01)) ** 2

    random = np.random.default_rng(0)
    places = [SEVERAL.decode(place) for place in random.random((60, 3))]
    surface = fit_surface([scored(point, random, tilted, 0.001) for point in places], SEVERAL)
    low, high = (
        surface.best_at(ConstantPoint(weight=0.5, learning_rate=rate, temperature=4.0)) for rate in (0.003, 0.03)
    )
    assert low < 0.45 < 0.55 < high


def test_several_settings_are_found():
    points, surface, enough = search(SEVERAL, noise=0.002)
    assert enough
    assert surface.chosen.weight == pytest.approx(0.4, abs=0.2)
    assert surface.chosen.learning_rate == pytest.approx(0.02, rel=0.6)
    assert len(points) <= 40


def test_a_users_own_option_is_found_beside_the_others():
    points, surface, _ = search(FOUR, noise=0.002)
    assert dict(surface.chosen.options)["hint_weight"] == pytest.approx(2.0, rel=1.5)
    assert surface.chosen.learning_rate == pytest.approx(0.02, rel=0.6)
    assert {row.options[0][0] for row in surface.curve()} == {"hint_weight"}
    assert len(points) <= 40


@pytest.mark.parametrize(("cap", "level"), [(2.0, True), (9.0, False)])
def test_an_end_of_a_range_is_level_where_accuracy_no_longer_rises_towards_it(cap, level):
    domain = SEVERAL.model_copy(update={"learning_rate": None})

    def worth(point):
        return 0.8 + 0.03 * point.weight * min(math.log2(point.temperature), cap)

    _, surface, _ = search(domain, of=worth, noise=0.001)
    sides = level_sides(surface)
    assert (("temperature", "upper") in sides) is level
    assert ("temperature", "lower") in sides
    assert {setting for setting, _ in sides} == {"temperature"}  # the learning rate was not searched


def test_the_curve_tells_how_bad_bad_constants_are():
    found = fit_surface(line(DENSE, lambda w: 0.9 - 0.6 * max(0.0, w - 0.2), noise=0.002), ONE)
    curve = {round(row.weight, 2): row for row in found.curve()}
    assert curve[1.0].mean == pytest.approx(0.42, abs=0.05)
    assert curve[1.0].low <= 0.43
    assert curve[0.0].mean == pytest.approx(0.9, abs=0.01)


def test_the_labels_alone_are_tuned_over_the_learning_rate():
    points, surface, _ = search(SEVERAL)
    alone = {point for point in points if point.weight == 0.0}
    assert 2 <= len(alone) <= 6
    assert len({point.temperature for point in alone}) == 1
    assert surface.certificate.knows_labels_alone
    best = surface.best_tried(0.0)
    assert 0.01 <= best.learning_rate <= 0.04  # .02 is best


def test_the_labels_alone_are_tuned_over_an_option_that_their_loss_depends_on():
    domain = SurfaceDomain(options={"smoothing": Interval(low=0.0, high=1.0)})

    def worth(point):
        return 0.8 - 0.1 * (1.0 - point.weight) * (dict(point.options)["smoothing"] - 0.8) ** 2

    points, surface, _ = search(domain, of=worth, noise=0.001)
    assert len({point for point in points if point.weight == 0.0}) >= 2
    assert surface.certificate.knows_labels_alone
    assert dict(surface.best_tried(0.0).options)["smoothing"] == pytest.approx(0.8, abs=0.15)


def test_without_a_learning_rate_to_find_the_labels_alone_are_known():
    assert search(ONE)[1].certificate.labels_loss == 0.0
