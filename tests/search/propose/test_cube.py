"""Every value has a position in the unit cube, and every position a value."""

import numpy as np
import optuna
import pytest

from search.propose.cube import Axis, Cube
from search.propose.space import Variable
from search.settings.domains import Choices, Interval

DOMAINS = {
    "share": Variable(Interval(low=0.0, high=1.0), 0.5),
    "rate": Variable(Interval(low=1e-3, high=10.0, log=True), 0.1),
    "steps": Variable(Interval(low=1, high=9), 3, whole=True),
    "period": Variable(Interval(low=1, high=100, log=True), 3, whole=True),
    "temperature": Variable(Choices(choices=(8.0, 2.0, 4.0)), 4.0),
    "count": Variable(Choices(choices=(1.0, 5.0)), 1, whole=True),
    "signal": Variable(Choices(choices=("loss", "norm")), "loss"),
    "single": Variable(Choices(choices=(3.0,)), 3.0),
}


@pytest.mark.parametrize("name", DOMAINS)
def test_a_decoded_position_encodes_to_where_it_snaps(name):
    axis = Axis(name, DOMAINS[name])
    for position in np.linspace(0.0, 1.0, 41):
        value = axis.decode(float(position))
        optuna.create_trial(params={name: value}, distributions={name: axis.distribution}, value=0.0)  # allows it
        assert axis.encode(value) == pytest.approx(axis.snap(np.array([position]))[0])
        assert axis.decode(axis.encode(value)) == pytest.approx(value)


@pytest.mark.parametrize("name", ["steps", "period", "temperature", "count", "signal", "single"])
def test_all_values_of_a_discrete_axis_can_be_proposed(name):
    axis, domain = Axis(name, DOMAINS[name]), DOMAINS[name].domain
    values = set(domain.choices) if isinstance(domain, Choices) else set(range(int(domain.low), int(domain.high) + 1))
    assert {axis.decode(float(position)) for position in np.linspace(0.0, 1.0, 5001)} == values


def test_numbers_keep_their_order_and_options_have_none():
    temperature = Axis("temperature", DOMAINS["temperature"])
    assert temperature.encode(2.0) < temperature.encode(4.0) < temperature.encode(8.0)
    assert list(Cube.of(DOMAINS).nominal) == [name == "signal" for name in DOMAINS]


def test_only_what_varies_is_an_axis():
    assert [axis.name for axis in Cube.of({"fixed": Variable(2.0, 2.0), **DOMAINS}).axes] == list(DOMAINS)
