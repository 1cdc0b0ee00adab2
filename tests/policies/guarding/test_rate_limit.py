"""The limit on the speed of λ, against the inequality that it solves."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import Geometry
from policies.guarding.rate_limit import limited_weight

weights = st.floats(0.0, 1.0)


def change_of_the_mix(current, new, geometry, gap, rate):
    """Return (λ'-λ)(L_d-L_t) - η g_λ'·g_λ."""
    a, b, c = geometry
    inner = new * current * a + (new * (1 - current) + current * (1 - new)) * c + (1 - new) * (1 - current) * b
    return (new - current) * gap - rate * inner


@given(
    current=weights,
    wanted=weights,
    ratio=st.floats(0.05, 20.0),
    cosine=st.floats(-1.0, 1.0),
    gap=st.floats(-10.0, 10.0),
    rate=st.floats(1e-4, 1.0),
)
def test_the_result_is_the_farthest_λ_at_which_the_mix_does_not_rise(current, wanted, ratio, cosine, gap, rate):
    geometry = Geometry.of(ratio, cosine)
    allowed = limited_weight(current, wanted, geometry, gap, rate)
    assert min(current, wanted) <= allowed <= max(current, wanted)
    assert change_of_the_mix(current, allowed, geometry, gap, rate) <= 1e-9
    if allowed != wanted:
        beyond = allowed + 1e-3 * (wanted - allowed)
        assert change_of_the_mix(current, beyond, geometry, gap, rate) >= -1e-9


def test_the_mixed_loss_of_a_real_descent_does_not_rise():
    """Two parabolas, L_d = ½(x-3)² + 2 and L_t = ½x²: at each step λ moves as far towards 1 as the limit allows."""
    x, weight, rate = 4.0, 0.0, 0.01
    mixed = [0.5 * x * x]
    for _ in range(200):
        distill, task = x - 3.0, x
        gap = 0.5 * distill**2 + 2.0 - 0.5 * task**2
        geometry = Geometry(distill**2, task**2, distill * task)
        old = weight
        weight = limited_weight(old, 1.0, geometry, gap, rate)
        x -= rate * (old * distill + (1 - old) * task)
        mixed.append(weight * (0.5 * (x - 3.0) ** 2 + 2.0) + (1 - weight) * 0.5 * x * x)
    assert all(after <= before + rate**2 for before, after in itertools.pairwise(mixed))
    assert weight > 0.0


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_where_nothing_is_known_nothing_is_limited(broken):
    assert limited_weight(0.1, 0.9, Geometry(broken, 1.0, 0.0), 1.0, 0.1) == 0.9
    assert limited_weight(0.1, 0.9, Geometry(1.0, 1.0, 0.0), broken, 0.1) == 0.9


def test_gradients_that_vanish_hold_λ_against_the_larger_loss():
    still = Geometry(0.0, 0.0, 0.0)
    assert limited_weight(0.3, 0.9, still, 1.0, 0.1) == 0.3
    assert limited_weight(0.3, 0.9, still, -1.0, 0.1) == 0.9
