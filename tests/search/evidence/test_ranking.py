import math

import pytest

from search.evidence.ranking import compare_to_constant, rank_families
from tests.search.picture_counts import picture_counts
from tests.search.report.conftest import CONFIG


def test_families_stand_in_the_order_of_their_best_trial(trial, make_search):
    search = make_search(
        trial(1, "fixed", (0.80, 0.82)),
        trial(2, "norm_balance", (0.90, 0.92)),
        trial(3, "norm_balance", (0.70, 0.72)),
        trial(4, "step_schedule", (0.85, 0.85)),
    )
    ranks = rank_families(search)
    assert [(r.rank, r.family) for r in ranks] == [(1, "norm_balance"), (2, "step_schedule"), (3, "fixed")]
    first = ranks[0]
    assert first.best.number == 2
    assert first.best.score == pytest.approx(0.91)
    assert first.best.spread == pytest.approx(0.02 / math.sqrt(2))
    assert first.median == pytest.approx(0.81)
    assert [(s.seed, s.score) for s in first.best.seeds] == [(0, 0.90), (1, 0.92)]
    assert (first.finished, first.failed, first.unfinished) == (2, 0, 0)


def test_a_tie_goes_to_the_simpler_rule(trial, make_search):
    search = make_search(trial(1, "cosine_threshold", (0.8, 0.8)), trial(2, "fixed", (0.8, 0.8)))
    assert [r.family for r in rank_families(search)] == ["fixed", "cosine_threshold"]


def test_a_tie_of_equally_simple_rules_goes_to_the_earlier_trial(trial, make_search):
    search = make_search(trial(2, "linear_schedule", (0.8,)), trial(1, "cosine_schedule", (0.8,)))
    assert [r.family for r in rank_families(search)] == ["cosine_schedule", "linear_schedule"]


def test_failed_and_unfinished_trials_are_counted_but_not_ranked(trial, make_search):
    search = make_search(
        trial(1, "fixed", (0.8,)),
        trial(2, "fixed", (0.99,), status="failed", error="boom"),
        trial(3, "fixed", (0.99,), status="running"),
        trial(4, "fixed", (0.99,), status="pending"),
    )
    (rank,) = rank_families(search)
    assert rank.best.number == 1
    assert (rank.finished, rank.failed, rank.unfinished) == (1, 1, 2)


def test_a_family_without_a_finished_trial_comes_last_and_has_no_rank(trial, make_search):
    search = make_search(trial(1, "cosine_threshold", (0.9,), status="failed"), trial(2, "fixed", (0.8,)))
    last = rank_families(search)[-1]
    assert (last.family, last.rank, last.best, last.median, last.failed) == ("cosine_threshold", None, None, None, 1)


def test_a_seed_whose_accuracy_is_not_finite_is_in_no_pair(trial, make_search):
    ours = trial(2, "norm_balance", (0.7, 0.8))
    broken = ours.history.replicates[0].model_copy(update={"validation_accuracy": math.nan})
    history = ours.history.model_copy(update={"replicates": (broken, ours.history.replicates[1])})
    search = make_search(trial(1, "fixed", (0.6, 0.6)), ours.model_copy(update={"history": history}))
    (difference,) = compare_to_constant(search).differences
    assert difference.seeds == (1,)
    assert difference.mean == pytest.approx(0.2)


def test_one_seed_has_no_spread(trial, make_search):
    (rank,) = rank_families(make_search(trial(1, "fixed", (0.8,))))
    assert rank.best.spread is None


def test_differences_are_paired_by_seed(trial, make_search):
    # The seeds differ by 10 points, the rules within a seed by 1, 2 and 3.
    search = make_search(
        trial(1, "fixed", (0.60, 0.70, 0.80)),
        trial(2, "norm_balance", (0.83, 0.72, 0.61), seeds=(2, 1, 0)),
    )
    (difference,) = compare_to_constant(search).differences
    assert difference.seeds == (0, 1, 2)
    assert difference.mean == pytest.approx(0.02)
    assert difference.standard_error == pytest.approx(0.01 / math.sqrt(3))
    assert difference.high - difference.mean == pytest.approx(4.302653 * 0.01 / math.sqrt(3))
    assert difference.mean - difference.low == pytest.approx(4.302653 * 0.01 / math.sqrt(3))


def test_only_seeds_common_to_both_are_paired(trial, make_search):
    search = make_search(
        trial(1, "fixed", (0.60, 0.70, 0.10), seeds=(0, 1, 2)),
        trial(2, "norm_balance", (0.62, 0.72, 0.99), seeds=(0, 1, 3)),
    )
    (difference,) = compare_to_constant(search).differences
    assert difference.seeds == (0, 1)
    assert difference.mean == pytest.approx(0.02)


def test_the_constant_compared_with_is_the_best_one(trial, make_search):
    search = make_search(
        trial(1, "fixed", (0.5, 0.5), parameters={"weight": 0.0}),
        trial(2, "fixed", (0.7, 0.7), parameters={"weight": 0.4}),
        trial(3, "step_schedule", (0.6, 0.6)),
    )
    comparison = compare_to_constant(search)
    assert comparison.constant.number == 2
    assert comparison.labels_alone.number == 1
    assert comparison.of("step_schedule").mean == pytest.approx(-0.1)
    assert comparison.of("fixed") is None


def test_without_a_constant_there_is_no_comparison(trial, make_search):
    comparison = compare_to_constant(make_search(trial(1, "norm_balance", (0.8, 0.9))))
    assert comparison.constant is None
    assert comparison.differences == ()


def test_one_common_seed_gives_a_difference_without_noise(trial, make_search):
    search = make_search(trial(1, "fixed", (0.6,)), trial(2, "norm_balance", (0.7,)))
    (difference,) = compare_to_constant(search).differences
    assert difference.mean == pytest.approx(0.1)
    assert (difference.standard_error, difference.low, difference.high) == (None, None, None)
    assert not difference.above_zero
    assert not difference.below_zero


def test_equal_differences_of_one_picture_are_no_certainty(trial, make_search):
    trials = trial(1, "fixed", (0.600, 0.610)), trial(2, "norm_balance", (0.602, 0.612))
    counted = picture_counts(validation=500)
    search = make_search(*trials, config={**CONFIG, "data": {"name": "digits"}}, pictures=counted)
    (difference,) = compare_to_constant(search).differences
    assert difference.standard_error == pytest.approx(0.002 / math.sqrt(2))  # one picture's
    assert difference.high - difference.mean == pytest.approx(12.706205 * difference.standard_error)
    assert not difference.above_zero


@pytest.mark.parametrize(
    ("shift", "ahead", "behind"), [(0.05, True, False), (-0.05, False, True), (0.001, False, False)]
)
def test_clear_means_that_the_interval_leaves_out_zero(trial, make_search, shift, ahead, behind):
    constant = (0.60, 0.61, 0.62)
    noise = (0.002, -0.001, -0.001)
    ours = tuple(c + shift + n for c, n in zip(constant, noise, strict=True))
    (difference,) = compare_to_constant(
        make_search(trial(1, "fixed", constant), trial(2, "norm_balance", ours))
    ).differences
    assert (difference.above_zero, difference.below_zero) == (ahead, behind)
