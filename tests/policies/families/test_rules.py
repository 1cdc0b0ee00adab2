"""Each rule does what its sentence says."""

import math

import pytest

from policies import Geometry, Observation, create_policy
from policies.errors import PolicyError


def at(progress=0.0, geometry=None):
    return Observation(step=0, progress=progress, geometry=geometry)


def with_cosine(cosine):
    return at(geometry=Geometry(1.0, 1.0, cosine))


def with_ratio(ratio):
    return at(geometry=Geometry(ratio**2, 1.0, 0.0))


def test_fixed_is_constant():
    policy = create_policy("fixed", {"weight": 0.3})
    assert {policy.decide(at(p)).weight for p in (0.0, 0.5, 0.99)} == {0.3}


def test_linear_schedule_goes_straight():
    policy = create_policy("linear_schedule", {"start": 1.0, "end": 0.2})
    assert [policy.decide(at(p)).weight for p in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.6, 0.2])


def test_cosine_schedule_is_slow_at_both_ends():
    policy = create_policy("cosine_schedule", {"start": 1.0, "end": 0.0})
    weights = [policy.decide(at(p)).weight for p in (0.0, 0.1, 0.5, 0.9, 1.0)]
    assert weights == pytest.approx([1.0, 0.5 * (1 + math.cos(0.1 * math.pi)), 0.5, 1 - weights[1], 0.0])
    assert 1.0 - weights[1] < 0.1


def test_step_schedule_switches_once():
    policy = create_policy("step_schedule", {"switch": 0.6, "before": 0.9, "after": 0.1})
    assert [policy.decide(at(p)).weight for p in (0.0, 0.59, 0.6, 0.99)] == [0.9, 0.9, 0.1, 0.1]


def test_cosine_threshold_switches_on_the_cosine():
    policy = create_policy(
        "cosine_threshold", {"threshold": 0.2, "above": 0.8, "below": 0.1, "smoothing": 0, "hysteresis": 0}
    )
    assert [policy.decide(with_cosine(c)).weight for c in (0.5, 0.1, 0.21, -1.0)] == [0.8, 0.1, 0.8, 0.1]


def test_hysteresis_keeps_the_switch_from_flapping():
    policy = create_policy(
        "cosine_threshold", {"threshold": 0.2, "above": 0.8, "below": 0.1, "smoothing": 0, "hysteresis": 0.1}
    )
    cosines = (0.5, 0.15, 0.25, 0.05, 0.25, 0.15, 0.35)
    assert [policy.decide(with_cosine(c)).weight for c in cosines] == [0.8, 0.8, 0.8, 0.1, 0.1, 0.1, 0.8]


def test_norm_ratio_threshold_switches_on_the_ratio():
    policy = create_policy(
        "norm_ratio_threshold", {"threshold": 4, "above": 0.0, "below": 0.9, "smoothing": 0, "hysteresis": 0}
    )
    assert [policy.decide(with_ratio(r)).weight for r in (1, 5, 3.9, 100)] == [0.9, 0.0, 0.9, 0.0]


def test_ratios_are_averaged_geometrically():
    policy = create_policy(
        "norm_ratio_threshold", {"threshold": 2.0, "above": 0.0, "below": 0.9, "smoothing": 0.5, "hysteresis": 0}
    )
    policy.decide(with_ratio(1.0))
    # Weights 1/3 and 2/3 after Adam's correction: 8^(2/3) = 4 > 2, 2^(2/3) < 2.
    assert policy.decide(with_ratio(8.0)).weight == 0.0
    assert "norm ratio 4 " in policy.decide(at()).reason


def test_norm_balance_makes_both_pulls_equally_long():
    policy = create_policy("norm_balance", {"balance": 1.0, "smoothing": 0})
    for ratio in (0.1, 1.0, 9.0):
        weight = policy.decide(with_ratio(ratio)).weight
        assert weight * ratio == pytest.approx(1 - weight)


def test_norm_balance_gives_the_teacher_kappa_times_the_labels_pull():
    weight = create_policy("norm_balance", {"balance": 3.0, "smoothing": 0}).decide(with_ratio(2.0)).weight
    assert weight * 2.0 / (1 - weight) == pytest.approx(3.0)


def test_smoothing_averages_without_bias_towards_the_start():
    policy = create_policy(
        "cosine_threshold", {"threshold": 0.4, "above": 0.8, "below": 0.1, "smoothing": 0.9, "hysteresis": 0}
    )
    assert policy.decide(with_cosine(0.5)).weight == 0.8  # without the correction the mean would be 0.05


def test_halves_are_told_of_and_refused_where_they_make_no_difference():
    halves = {"pair": "halves"}
    assert "two halves" in create_policy("norm_balance", halves).rule()
    assert "two halves" in create_policy("norm_balance", {"tier": "last_block", **halves}).rule()
    with pytest.raises(PolicyError, match="`norm_balance.pair` must be 'same' where `tier` is 'logit', but got 'halv"):
        create_policy("norm_balance", {"tier": "logit", **halves})


@pytest.mark.parametrize(
    ("family", "values", "told"),
    [
        ("warm_up", {"share": 0.004}, "first 0.4% of"),
        ("step_schedule", {"switch": 0.996}, "first 99.6% of"),
        ("norm_ratio_threshold", {"hysteresis": 0.004}, "margin 0.4%"),
        ("sample_agreement_threshold", {"threshold": 2e-4}, "above 0.02%"),
    ],
)
def test_a_small_share_is_told_as_what_it_is(family, values, told):
    assert told in create_policy(family, values).rule()


@pytest.mark.parametrize(
    ("family", "values", "label"),
    [
        ("fixed", {"weight": 0.991}, "constant .991"),
        ("fixed", {"weight": 0.0}, "labels alone"),
        ("cosine_threshold", {"threshold": 0.2, "above": 0.9, "below": 0.1}, "cosine > .2: .9, else .1"),
        ("cosine_threshold", {"threshold": -0.30000001192}, "cosine > -.3: .9, else .5"),
        ("cosine_ramp", {"slope": -0.25}, ".5 - .25 cosine"),
        ("tree", {"root": "progress", "root_cut": 0.6}, "progress > 60%: .1, else .9"),
        ("tree", {"low_low": 0.3, "high_low": 0.3}, "constant .3"),
        ("sample_tree", {"root": "cosine", "root_cut": 0.5}, "sample cosine > 0: .1, else .9"),
        ("safe_interval", {}, "safe interval: weight .9, smoothing .9"),
    ],
)
def test_the_short_form_of_a_rule_shows_its_numbers(family, values, label):
    assert create_policy(family, values).short_rule() == label


def test_a_tree_with_a_question_on_its_high_side_keeps_it_in_brackets():
    policy = create_policy("tree", {"root": "progress", "root_cut": 0.5, "high": "cosine", "high_cut": 0.6})
    assert policy.short_rule() == "progress > 50%: (cosine > .2: .5, else .1), else .9"
