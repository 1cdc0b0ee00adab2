import numpy as np
import pytest

from search.constants.points import ConstantPoint, SurfaceDomain
from search.constants.weights import unwarp, warp
from search.settings.domains import Choices, Interval
from tests.search.constants.planted import FOUR, ONE, SEVERAL


@pytest.mark.parametrize("weight", [0.0, 0.01, 0.3, 0.5, 0.97, 1.0])
def test_the_stretched_axis_goes_both_ways(weight):
    assert unwarp(warp(weight)) == pytest.approx(weight, abs=1e-12)


def test_both_ends_are_stretched_alike():
    assert warp(0.05) - warp(0.0) == pytest.approx(warp(1.0) - warp(0.95))
    assert warp(0.05) - warp(0.0) > 2 * (warp(0.55) - warp(0.5))


def test_lambda_0_knows_no_temperature():
    places = [SEVERAL.encode(ConstantPoint(weight=0.0, learning_rate=0.01, temperature=t)) for t in (2.0, 8.0)]
    assert np.array_equal(*places)


@pytest.mark.parametrize("place", [[0.0, 0.0, 0.0], [0.4, 0.3, 0.9], [1.0, 1.0, 1.0]])
def test_every_place_has_a_point_of_the_domain(place):
    point = SEVERAL.decode(place)
    assert 0.0 <= point.weight <= 1.0
    assert 1e-3 <= point.learning_rate <= 0.1
    assert point.temperature in (2.0, 4.0, 8.0)


def test_settings_that_do_not_vary_are_no_axis():
    domain = SurfaceDomain(learning_rate=0.1, temperature=Choices(choices=(4.0,)))
    assert domain.axes == ONE.axes == 1
    assert SurfaceDomain(learning_rate=Interval(low=0.1, high=0.2)).axes == 2


def test_a_list_of_weights_is_kept_to():
    domain = SurfaceDomain(weight=Choices(choices=(0.0, 0.3, 0.9)))
    assert {domain.decode([place]).weight for place in np.linspace(0, 1, 50)} == {0.0, 0.3, 0.9}


def test_an_option_is_an_axis_like_the_learning_rate():
    assert FOUR.settings == ("learning_rate", "temperature", "options.hint_weight")
    point = FOUR.decode([0.4, 0.3, 0.9, 0.5])
    assert point.shared == {"learning_rate": 0.00398, "temperature": 8.0, "options.hint_weight": 1.0}
    assert ConstantPoint.at(point.weight, point.shared) == point
    assert FOUR.encode(point)[3] == pytest.approx(0.5)
    assert FOUR.encode(point.model_copy(update={"weight": 0.0}))[3] == pytest.approx(0.5)


@pytest.mark.parametrize("choices", [(0.0, 1.0, 2.0), (-1.0, 0.0, 3.0)])
def test_listed_values_that_are_not_above_zero_are_apart_by_their_differences(choices):
    domain = SurfaceDomain(options={"margin": Choices(choices=choices)})
    places = [domain.encode(ConstantPoint(weight=0.5, options=(("margin", value),)))[1] for value in choices]
    span = choices[-1] - choices[0]
    assert places == pytest.approx([(value - choices[0]) / span for value in choices])
