"""A verdict is wrong no more often than it says: a short form of benchmarks/error_rates.py."""

import pytest
from scipy import stats

from benchmarks.error_rates import Problem, Tally, tally

SIMULATIONS = 120


def at_most(share: float) -> int:
    """A count that a true share this high exceeds once in a thousand times."""
    return int(stats.binom.ppf(0.999, SIMULATIONS, share))


def at_least(share: float) -> int:
    return int(stats.binom.ppf(0.001, SIMULATIONS, share))


@pytest.mark.parametrize(
    "problem",
    [
        Problem(curve="peaked"),
        Problem(curve="near"),
        Problem(seeds=5, noise="skewed"),
        Problem(seeds=5, noise="collapsing", rules=12),
        Problem(seeds=5, test_size=360, own=0.1),
    ],
    ids=lambda problem: problem.title,
)
def test_among_rules_no_better_than_the_best_constant_a_winner_is_rare(problem):
    assert tally(problem, SIMULATIONS, seed=1).winners <= at_most(0.05)


@pytest.mark.parametrize("seeds", [5, 10])
def test_a_gain_as_large_as_promised_to_be_seen_is_found(seeds):
    promised = tally(Problem(seeds=seeds), 30, seed=2).detectable
    result = tally(Problem(seeds=seeds, gains=(0.0, promised)), SIMULATIONS, seed=3)
    assert result.wins.get("rule-1", 0) >= at_least(0.75)
    assert result.winners - result.wins.get("rule-1", 0) <= at_most(0.05)


def two_rules(simple: float, third: float) -> Tally:
    return tally(Problem(gains=(simple, 0.0, third)), SIMULATIONS, seed=4)


def test_of_two_equally_good_rules_the_simpler_one_is_named():
    assert two_rules(1.2, 1.2).wins.get("rule-0", 0) >= at_least(0.95)


def test_a_rule_that_is_twice_as_good_is_named_before_a_simpler_one():
    assert two_rules(1.2, 2.4).wins.get("rule-2", 0) >= at_least(0.95)
