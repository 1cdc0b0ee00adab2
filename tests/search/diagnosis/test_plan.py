"""A diagnosis plans few trainings."""

import pytest

from search.diagnosis.plan import RULES, interpolated, learning_rates, matched, temperature, trainings
from tests.search.tiny import tiny_config


def test_learning_rates_are_the_middles_of_three_equal_parts_of_the_range():
    config = tiny_config("space.learning_rate={low=1e-3, high=1.0, log=true}")
    assert learning_rates(config) == pytest.approx((10**-2.5, 10**-1.5, 10**-0.5))
    assert learning_rates(tiny_config("space.learning_rate={choices=[0.1, 0.2, 0.3, 0.4]}")) == (0.1, 0.3, 0.4)
    assert learning_rates(tiny_config("space.learning_rate=0.02")) == (0.02,)


def test_the_temperature_is_the_files_or_the_nearest_that_is_searched():
    assert temperature(tiny_config("temperature=4.0")) == 4.0
    assert temperature(tiny_config("temperature=1.0", "space.temperature={choices=[2.0, 8.0]}")) == 2.0
    assert temperature(tiny_config("temperature=9.0", "space.temperature={low=1.0, high=6.0}")) == 6.0


def test_the_most_trainings_are_known_beforehand():
    assert trainings(tiny_config("space.learning_rate=0.02"), 3) == (6 + len(RULES)) * 3 + 1
    assert trainings(tiny_config(), 3) == 4 + (6 + len(RULES)) * 3 + 1


def test_learning_rates_between_the_screened_ones_lie_between_theirs():
    rates = {0.0: 1e-3, 0.5: 1e-1}
    assert interpolated(0.0, rates) == pytest.approx(1e-3)
    assert interpolated(0.25, rates) == pytest.approx(1e-2)
    assert interpolated(1.0, rates) == pytest.approx(1e-1)


def test_a_matched_rule_trusts_the_teacher_as_much_as_its_constant():
    balance = matched("sample_norm_balance", 0.5, norm_ratio=2.0, agreement=0.9)["balance"]
    assert balance / (balance + 2.0) == pytest.approx(0.5)
    trust = matched("sample_class_reliability", 0.45, norm_ratio=2.0, agreement=0.9)["trust"]
    assert trust * 0.9 == pytest.approx(0.45)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_matched_rule_stays_in_its_search_range(weight):
    assert 0.1 <= matched("norm_balance", weight, norm_ratio=1.0, agreement=0.9)["balance"] <= 4.0
