import json
import os
import subprocess
import sys

import numpy as np
import pytest

from search.constants import ConstantPoint, Enough, SurfaceDomain, next_point
from search.constants.bracket import first_points
from search.settings.domains import Choices, Interval
from tests.search.constants.planted import FOUR, ONE, SEVERAL, scored, search


@pytest.mark.parametrize("domain", [ONE, SEVERAL])
def test_the_same_search_tries_the_same_points_and_none_twice(domain):
    first, surface, _ = search(domain)
    again, _, _ = search(domain)
    assert surface.certificate.holds
    assert first == again
    assert len(set(first)) == len(first)


def test_another_process_proposes_the_same():
    points, _, _ = search(SEVERAL, most=20)
    program = (
        "from tests.search.constants.planted import *; import json;"
        "print(json.dumps([p.model_dump() for p in search(SEVERAL, most=20)[0]]))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert [ConstantPoint.model_validate(point) for point in json.loads(found.stdout)] == points


def test_the_first_points_need_no_result_and_leave_no_gap():
    points = first_points(ONE, 0)
    assert [next_point(ONE, 0, index, []) for index in range(len(points))] == list(points)
    weights = sorted(point.weight for point in points)
    assert (weights[0], weights[-1]) == (0.0, 1.0)
    assert max(np.diff(weights)) <= 0.1 + 1e-9


def test_the_first_points_spread_the_other_settings():
    points = first_points(SEVERAL, 0)
    rates = [point.learning_rate for point in points]
    assert min(rates) < 3e-3 < 0.03 < max(rates)
    assert {point.temperature for point in points} == {2.0, 4.0, 8.0}


def test_the_first_points_spread_a_users_own_option():
    weights = [dict(point.options)["hint_weight"] for point in first_points(FOUR, 0)]
    assert min(weights) < 0.4 < 3.0 < max(weights)


def test_the_recipes_own_settings_come_first():
    home = ConstantPoint(weight=0.9)
    assert next_point(SurfaceDomain(home=home), 0, 0, []) == home


def test_a_narrower_range_is_kept_to():
    points, _, _ = search(SurfaceDomain(weight=Interval(low=0.2, high=0.6)))
    assert all(0.2 <= point.weight <= 0.6 for point in points)
    assert {0.2, 0.6} <= {point.weight for point in points}


def test_a_list_of_weights_is_tried_once_each():
    points, surface, enough = search(SurfaceDomain(weight=Choices(choices=(0.1, 0.4, 0.9))))
    assert enough
    assert sorted(point.weight for point in points) == [0.1, 0.4, 0.9]
    assert "not tried closely enough" not in surface.certificate.reason


def test_failed_points_do_not_stop_a_search():
    count = len(first_points(ONE, 0))
    nothing = next_point(ONE, 0, count, [None] * count)
    assert isinstance(nothing, ConstantPoint)
    random = np.random.default_rng(0)
    observed = [scored(p, random) if i % 3 else None for i, p in enumerate(first_points(ONE, 0))]
    assert isinstance(next_point(ONE, 0, count, observed), ConstantPoint)


def test_a_search_that_is_too_short_has_no_certificate():
    _, surface, enough = search(SEVERAL, most=14)
    assert not enough
    assert not surface.certificate.enough


def test_the_best_at_an_end_is_found():
    _, surface, enough = search(ONE, of=lambda point: 0.8 - 0.05 * point.weight, noise=0.003)
    assert enough
    assert surface.chosen.weight <= 0.03


def test_enough_is_said_only_with_a_certificate():
    for seed in range(5):
        _, surface, enough = search(ONE, seed=seed)
        assert enough
        assert surface.certificate.holds
        assert isinstance(
            next_point(ONE, seed, len(surface.observed), list(surface.observed)),
            Enough,
        )
