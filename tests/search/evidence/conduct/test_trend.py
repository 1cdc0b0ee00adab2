import math
import random

import pytest

from search.evidence.conduct.trend import curve_noise, trend

NOISE = 0.004


def curves(count, length, shape, seed=0, noise=NOISE):
    draw = random.Random(seed)
    return [[shape(i / (length - 1)) + draw.gauss(0.0, noise) for i in range(length)] for _ in range(count)]


def kinds(found, noise=None, matters=0.005):
    noise = curve_noise(found) if noise is None else noise
    endings = [trend(curve, noise, matters) for curve in found]
    return [None if ending is None else ending.kind for ending in endings]


@pytest.mark.parametrize("length", [5, 12, 15, 40])
def test_noise_is_estimated_from_the_curves(length):
    level = curve_noise(curves(400, length, lambda x: 0.8))
    assert level == pytest.approx(NOISE, rel=0.12)
    rising = curve_noise(curves(400, length, lambda x: 0.3 + 0.3 * x))
    assert rising == pytest.approx(NOISE, rel=0.12)


@pytest.mark.parametrize("length", [5, 12, 15, 40])
def test_level_curves_are_seldom_flagged(length):
    """All clear moves are flagged here. A share of 1 % is meant, and known to ±0.3."""
    flagged = sum(kind is not None for kind in kinds(curves(2000, length, lambda x: 0.8), matters=0.0))
    assert flagged <= 0.025 * 2000


def test_curves_that_saturate_are_level():
    found = curves(200, 15, lambda x: 0.9 - 0.6 * math.exp(-12 * x))
    assert kinds(found).count(None) >= 195


def test_a_rise_of_two_points_over_the_last_quarter_is_found():
    found = curves(200, 15, lambda x: 0.3 + 0.1 * x)
    assert kinds(found).count("rising") >= 175
    assert trend([0.3 + 0.1 * i / 14 for i in range(15)], NOISE, 0.005) == ("rising", pytest.approx(0.3 / 14), 11)


def test_a_fall_of_two_points_from_the_peak_is_found():
    def shape(x):
        return 0.9 - 0.02 * max(0.0, x - 0.4) / 0.6 - 0.5 * math.exp(-12 * x)

    assert kinds(curves(200, 15, shape)).count("fallen") >= 150


def test_moves_that_do_not_matter_are_not_told():
    line = [0.80 + 0.0001 * i for i in range(20)]
    assert trend(line, 0.0, matters=0.005) is None
    assert trend(line, 0.0, matters=0.0).kind == "rising"


@pytest.mark.parametrize("curve", [[], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3, math.nan]])
def test_short_or_broken_curves_tell_nothing(curve):
    assert trend(curve, 0.0, 0.0) is None
    assert curve_noise([curve]) is None
