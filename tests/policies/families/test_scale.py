"""A rule's numbers mean the same at another scale, unless it says that they are tied to it."""

import pytest

from policies import FAMILIES, Geometry, create_policy
from policies.testing.zoo import sample_batch, settings, wandering_stream

BATCH = [family for family, policy in FAMILIES.items() if policy.scope == "batch"]
SAMPLE = [family for family, policy in FAMILIES.items() if policy.scope == "sample"]
TIMES = 3


def drawn(family):
    """Return settings of a family that measure at every step, with stretches that are whole numbers of steps."""
    every = {"measure_every": 1} if "measure_every" in FAMILIES[family].parameters() else {}
    steps, found = len(wandering_stream()), []
    for values in settings(FAMILIES[family]):
        whole = {"period": max(1, round(steps * values["period"])) / steps} if "period" in values else {}
        found.append({**values, **every, **whole})
    return found


def freed(family, values):
    """Return the same settings with every share and rate of a step at 0."""
    tied = create_policy(family, values).tied()
    return {**values, **{name: 0.0 for name, tie in tied.items() if tie == "steps"}}


def scaled(observation, factor):
    """Return an observation whose losses and gradients are both longer by a factor."""
    a, b, c = observation.geometry
    return observation._replace(
        geometry=Geometry(factor**2 * a, factor**2 * b, factor**2 * c),
        task_loss=factor * observation.task_loss,
        distill_loss=factor * observation.distill_loss,
    )


def of_longer_training(stream):
    """Return a training of more steps with the same readings at the same share of it."""
    steps = len(stream) * TIMES
    return [
        observation._replace(step=TIMES * number + turn, progress=(TIMES * number + turn) / steps)
        for number, observation in enumerate(stream)
        for turn in range(TIMES)
    ]


def weights(family, values, stream):
    policy = create_policy(family, values)
    return [policy.decide(observation).weight for observation in stream]


@pytest.mark.parametrize("family", BATCH)
def test_the_losses_unit_changes_no_decision_of_a_rule_that_is_not_tied_to_it(family):
    stream, differ = wandering_stream(), False
    for values in drawn(family):
        same = weights(family, values, [scaled(observation, 50.0) for observation in stream])
        expected = weights(family, values, stream)
        if "losses" in create_policy(family, values).tied().values():
            differ |= same != pytest.approx(expected, abs=1e-6)
        else:
            assert same == pytest.approx(expected, abs=1e-9), values
    assert differ == any(parameter.tie == "losses" for parameter in FAMILIES[family].parameters().values())


@pytest.mark.parametrize("family", BATCH)
def test_more_steps_change_no_decision_of_a_rule_without_shares_and_rates_of_a_step(family):
    stream = wandering_stream()
    for values in drawn(family):
        free = freed(family, values)
        longer = weights(family, free, of_longer_training(stream))[::TIMES]
        assert longer == pytest.approx(weights(family, free, stream), abs=1e-9), free


@pytest.mark.parametrize(
    ("family", "name"),
    [
        (family, name)
        for family in BATCH
        for name, parameter in FAMILIES[family].parameters().items()
        if parameter.tie == "steps"
    ],
)
def test_a_number_that_is_tied_to_the_steps_does_change_decisions_with_their_number(family, name):
    stream, parameter = wandering_stream(), FAMILIES[family].parameters()[name]
    differ = False
    for values in drawn(family):
        # Alone, or beside the others that are tied: an average of what is never used changes nothing.
        for others in (freed(family, values), values):
            tied = {**others, name: 0.9 if name == "smoothing" else parameter.search[1]}
            short, without = weights(family, tied, stream), weights(family, {**tied, name: 0.0}, stream)
            longer = weights(family, tied, of_longer_training(stream))[::TIMES]
            differ |= short != pytest.approx(without, abs=1e-6) and longer != pytest.approx(short, abs=1e-6)
    assert differ


@pytest.mark.parametrize("family", SAMPLE)
def test_a_rule_of_samples_keeps_no_count_of_steps_and_is_tied_to_nothing(family):
    for values in settings(FAMILIES[family]):
        policy = create_policy(family, values)
        assert policy.tied() == {}
        early, late = (policy.weights(sample_batch(step=step)) for step in (7, 7000))
        assert early.equal(late)


def test_ties_are_shown_and_a_share_of_zero_a_step_is_none():
    assert create_policy("norm_balance").tied() == {"smoothing": "steps"}
    assert create_policy("norm_balance", {"smoothing": 0.0}).tied() == {}
    assert create_policy("uncertainty", {"rate": 0.0}).tied() == {"start": "losses"}
    assert create_policy("taylor_curvature", {"smoothing": 0.0}).tied() == {"step": "learning rate"}
    assert create_policy("step_schedule").tied() == {}
