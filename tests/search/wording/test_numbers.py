import pytest

from search.wording.numbers import count, duration, number, percent, points, time_left


@pytest.mark.parametrize(
    ("difference", "text"), [(0.012, "+1.20"), (-0.012, "−1.20"), (0.0, "±0.00"), (-0.00001, "±0.00"), (None, "–")]
)
def test_points_are_signed(difference, text):
    assert points(difference) == text


@pytest.mark.parametrize(("score", "text"), [(0.86, "86.00 %"), (1.0, "100.00 %"), (None, "–"), (float("nan"), "–")])
def test_percent(score, text):
    assert percent(score) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.25, "4.2 s"), (48, "48 s"), (125, "2 min 5 s"), (12_000, "3 h 20 min"), (None, "–")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(48, "about 48 s left"), (1, "about 1.0 s left"), (0.99, ""), (0.0, ""), (None, "")]
)
def test_what_is_left_is_told_while_it_is_worth_it(seconds, text):
    assert time_left(seconds) == text


def test_counts_agree_with_their_noun():
    assert (count(1, "trial"), count(1200, "trial")) == ("1 trial", "1,200 trials")


def test_a_setting_is_a_number_or_the_name_of_an_option():
    assert (number(0.123456), number("last_block"), number(None)) == ("0.123", "last_block", "–")
