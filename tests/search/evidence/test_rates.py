"""A verdict is wrong no more often than it says: a short form of `benchmarks/error_rates.py` and `honest.py`."""

import pytest
from scipy import stats

from benchmarks.error_rates import Problem, Tally, tally
from benchmarks.honest import Search, rates

SIMULATIONS = 120


def at_most(share: float, count: int = SIMULATIONS) -> int:
    """Return a count that a true share this high exceeds once in a thousand times."""
    return int(stats.binom.ppf(0.999, count, share))


def at_least(share: float) -> int:
    return int(stats.binom.ppf(0.001, SIMULATIONS, share))


@pytest.mark.parametrize(
    "problem",
    [
        Problem(curve="peaked", test_size=500),
        Problem(curve="near", test_size=500),
        Problem(curve="near", seeds=3, test_size=500, rules=12),
        Problem(seeds=5, noise="skewed", test_size=500),
        Problem(seeds=5, noise="collapsing", rules=12, test_size=500),
        Problem(seeds=5, test_size=360, own=0.1),
    ],
    ids=lambda problem: problem.title,
)
def test_among_rules_no_better_than_the_best_constant_a_better_one_is_rare(problem):
    result = tally(problem, SIMULATIONS, seed=1)
    assert result.winners <= at_most(0.05)
    assert result.too_low == 0
    assert result.covered == pytest.approx(0.95, abs=0.03)


def test_where_a_rule_gains_what_is_worth_it_none_is_rarely_said_to_be():
    result = tally(Problem(curve="flat", own=0.15, gains=(0.0, 0.5), passing=0.01), SIMULATIONS, seed=5)
    assert result.too_low <= at_most(0.05)


def test_where_no_rule_gains_anything_and_the_noise_is_small_the_constant_is_the_answer():
    quiet = Problem(curve="peaked", own=0.1, test_size=20_000, persistent=0.002, passing=0.01)
    assert tally(quiet, 20, seed=6).kinds == {"constant": 20}


@pytest.mark.parametrize("seeds", [5, 10])
def test_a_gain_as_large_as_promised_to_be_seen_is_found(seeds):
    promised = tally(Problem(seeds=seeds), 30, seed=2).detectable
    result = tally(Problem(seeds=seeds, gains=(0.0, promised)), SIMULATIONS, seed=3)
    assert result.wins.get("rule-1", 0) >= at_least(0.75)
    assert result.winners - result.wins.get("rule-1", 0) <= at_most(0.05)


def two_rules(simple: float, third: float) -> Tally:
    return tally(Problem(gains=(simple, 0.0, third), own=0.2, passing=0.02, persistent=0.005), SIMULATIONS, seed=4)


def test_of_two_equally_good_rules_the_simpler_one_is_named():
    assert two_rules(2.0, 2.0).wins.get("rule-0", 0) >= at_least(0.95)


def test_a_rule_that_is_twice_as_good_is_named_before_a_simpler_one():
    assert two_rules(2.0, 4.0).wins.get("rule-2", 0) >= at_least(0.95)


@pytest.mark.parametrize("settings", ["one", "several"])
@pytest.mark.parametrize("shape", ["between grid points", "twin peaks", "sharp near 1"])
def test_a_whole_search_seldom_calls_a_rule_better_that_is_as_good_as_the_best_constant(shape, settings):
    search = Search(shape=shape, settings=settings, noise=0.6, problem=Problem(own=0.6, test_size=500))
    found = rates(search, 6, 10, seed=7)
    assert found.named <= at_most(0.05, 60)
    assert found.certified >= 4
