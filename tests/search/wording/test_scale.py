import math

import pytest

from search.wording.scale import Scale
from trainables.records.objective import Objective

ACCURACY = Scale(Objective())
MORE = Scale(Objective(name="recall"))
LESS = Scale(Objective(name="regret", direction="minimize"))


@pytest.mark.parametrize(
    ("scale", "score", "value"), [(ACCURACY, 0.86, "86.00 %"), (MORE, 0.86, "0.86"), (LESS, -1234.56, "1235")]
)
def test_a_score_is_written_as_the_value_that_it_stands_for(scale, score, value):
    assert scale.value(score) == value
    assert (scale.value(None), scale.value(math.nan)) == ("–", "–")


def test_a_value_below_zero_keeps_its_sign():
    assert (MORE.value(-0.5), LESS.value(0.5)) == ("−0.5", "−0.5")


@pytest.mark.parametrize(
    ("scale", "margin", "size"),
    [(ACCURACY, "+1.20 points", "1.20 points"), (MORE, "+0.012", "0.012"), (LESS, "+0.012", "0.012")],
)
def test_a_difference_says_how_much_better_something_is(scale, margin, size):
    assert (scale.margin(0.012), scale.size(-0.012)) == (margin, size)
    assert scale.difference(None) == "–"


def test_an_interval_and_a_spread():
    assert (ACCURACY.interval(-0.01, 0.02), LESS.interval(-0.01, 0.02)) == ("−1.00 to +2.00", "−0.01 to +0.02")
    assert (ACCURACY.spread(0.004), LESS.spread(0.004), LESS.spread(None)) == ("± 0.40", "± 0.004", "")
    assert (MORE.difference(0.0), ACCURACY.difference(0.0)) == ("±0", "±0.00")


def test_what_is_searched_for_is_named_with_its_direction():
    titles = [scale.on("validation") for scale in (ACCURACY, MORE, LESS)]
    assert titles == [
        "validation accuracy",
        "recall on the validation set",
        "regret (less is better) on the validation set",
    ]
