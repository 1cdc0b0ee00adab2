import pytest

from policies import FAMILIES
from search.evidence.conduct.edges import edge_of, edges
from search.settings.domains import Choices, Interval

RATES = Interval(low=0.001, high=0.1, log=True)


@pytest.mark.parametrize(
    ("value", "end"),
    [
        (0.001, "lower"),
        (0.00108, "lower"),
        (0.0012, None),
        (0.01, None),
        (0.09, None),
        (0.093, "upper"),
        (0.1, "upper"),
    ],
)
def test_two_percent_of_the_orders_of_magnitude_are_an_end(value, end):
    found = edge_of("learning_rate", value, RATES)
    assert (found and found.end) == end


@pytest.mark.parametrize(("value", "end"), [(1.0, "lower"), (1.1, "lower"), (1.2, None), (5.0, None), (8.9, "upper")])
def test_two_percent_of_a_linear_range_are_an_end(value, end):
    found = edge_of("temperature", value, Interval(low=1.0, high=9.0))
    assert (found and found.end) == end


def test_the_remedy_is_told_where_values_beyond_are_valid():
    found = edge_of("learning_rate", 0.1, RATES)
    assert found.text == (
        "The best learning rate 0.1 lies at the upper end of its range (0.1); widen the range before believing this."
    )
    above = FAMILIES["cosine_threshold"].parameters()["above"]
    found = edge_of("above", 1.0, Interval(low=0.0, high=1.0), above)
    assert not found.can_widen
    assert found.text == "The best above 1 lies at the upper end of its range (1)."
    assert edge_of("above", 0.5, Interval(low=0.0, high=0.5), above).can_widen


def test_the_first_and_last_of_three_listed_values_are_ends():
    listed = Choices(choices=(2.0, 4.0, 4.05))
    assert edge_of("temperature", 2.0, listed).end == "lower"
    assert edge_of("temperature", 4.0, listed) is None
    assert edge_of("temperature", 4.05, listed).end == "upper"


@pytest.mark.parametrize(
    ("value", "domain"),
    [(4.0, 4.0), (2.0, Choices(choices=(2.0, 4.0))), ("full", Choices(choices=("full", "logit", "last_block")))],
)
def test_what_was_not_searched_over_a_range_has_no_end(value, domain):
    assert edge_of("name", value, domain) is None


def test_all_ends_are_found_in_order():
    found = edges(
        {"temperature": 2.0, "learning_rate": 0.001, "batch": 3}, {"learning_rate": RATES, "temperature": 2.0}
    )
    assert [(edge.name, edge.bound) for edge in found] == [("learning_rate", 0.001)]
