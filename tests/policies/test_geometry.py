import math

import pytest

from policies import Geometry


def test_cosine_stays_in_range_and_recovers_the_angle():
    assert Geometry(4.0, 9.0, 3.0).cosine == pytest.approx(0.5)
    assert Geometry(1.0, 1.0, 1.0 + 1e-9).cosine == 1.0


def test_zero_gradients_have_cosine_zero_and_a_defined_ratio():
    assert Geometry(0.0, 1.0, 0.0).cosine == 0.0
    assert Geometry(0.0, 1.0, 0.0).norm_ratio == 0.0
    assert Geometry(1.0, 0.0, 0.0).norm_ratio == math.inf
    assert Geometry(0.0, 0.0, 0.0).norm_ratio == 1.0


def test_norm_ratio_is_the_quotient_of_the_lengths():
    assert Geometry(4.0, 1.0, 0.0).norm_ratio == pytest.approx(2.0)


def test_geometry_that_is_not_finite_has_no_cosine():
    assert math.isnan(Geometry(math.inf, 1.0, 0.0).cosine)
    assert math.isnan(Geometry(1.0, 1.0, math.nan).cosine)
    assert not Geometry(1.0, 1.0, math.nan).finite


def test_inside_the_safe_interval_a_small_step_lowers_both_losses(geometry):
    low, high = geometry.safe_interval
    assert 0.0 <= low <= high <= 1.0
    a, b, c = geometry
    # Strictly inside; a single point (exactly opposite gradients, or a vanished one) has no inside.
    if high - low < 1e-9 or a == 0.0 or b == 0.0 or (c > 0 and geometry.cosine == 1.0):
        return
    for share in (0.25, 0.5, 0.75):
        weight = low + share * (high - low)
        assert weight * a + (1 - weight) * c > 0
        assert weight * c + (1 - weight) * b > 0


def test_outside_the_safe_interval_one_loss_rises():
    geometry = Geometry(4.0, 1.0, -1.0)
    low, high = geometry.safe_interval
    assert (low * 0.99) * 4.0 + (1 - low * 0.99) * -1.0 < 0
    above = high + 0.01
    assert above * -1.0 + (1 - above) * 1.0 < 0


def test_a_geometry_is_told_by_its_norm_ratio_and_cosine(geometry):
    if geometry.distill_sq == 0.0 or geometry.task_sq == 0.0:
        return
    same = Geometry.of(geometry.norm_ratio, geometry.cosine)
    assert same.norm_ratio == pytest.approx(geometry.norm_ratio)
    assert same.cosine == pytest.approx(geometry.cosine)
    assert same.least_norm_weight == pytest.approx(geometry.least_norm_weight, abs=1e-12)
    assert same.safe_interval == pytest.approx(geometry.safe_interval, abs=1e-12)


def test_least_norm_weight_is_no_worse_than_any_point_of_a_dense_grid(geometry):
    least = geometry.norm_sq(geometry.least_norm_weight)
    grid = min(geometry.norm_sq(i / 1000) for i in range(1001))
    assert least <= grid + 1e-12 * max(geometry.distill_sq, geometry.task_sq)


def test_least_norm_weight_of_vectors():
    assert Geometry(1.0, 1.0, 0.0).least_norm_weight == 0.5
    assert Geometry(4.0, 1.0, 0.0).least_norm_weight == pytest.approx(0.2)
    assert Geometry(4.0, 1.0, 1.5).least_norm_weight == 0.0
    assert Geometry(1.0, 4.0, 1.5).least_norm_weight == 1.0
    assert Geometry(0.0, 1.0, 0.0).least_norm_weight == 1.0
    assert Geometry(4.0, 4.0, 4.0).least_norm_weight == 0.5


def test_squares_of_sum_and_difference():
    assert Geometry(9.0, 4.0, -6.0).sum_sq == pytest.approx(1.0)
    assert Geometry(9.0, 4.0, 6.0).sum_sq == pytest.approx(25.0)
    assert Geometry(9.0, 4.0, -6.0).difference_sq == pytest.approx(25.0)


def test_squares_are_never_negative(geometry):
    # The inner product is rounded up past the product of the lengths, as happens with sums in single precision.
    a, b, c = geometry
    for rounded in (Geometry(a, b, c * (1 + 1e-6)), Geometry(a, b, -c * (1 + 1e-6))):
        assert rounded.difference_sq >= 0.0
        assert rounded.sum_sq >= 0.0
        assert rounded.norm_sq(rounded.least_norm_weight) >= 0.0
