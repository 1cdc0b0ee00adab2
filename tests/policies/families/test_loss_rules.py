"""Rules that read the two losses: each by its published formula, all of them on any stream of losses."""

import json
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from policies import FAMILIES, Observation, create_policy
from tests.policies.small_training import drawn

LOSS_RULES = ["loss_ratio", "dwa", "uncertainty", "famo"]


def observation(distill, task, step=0, progress=0.0):
    return Observation(step=step, progress=progress, distill_loss=distill, task_loss=task)


def stream(losses):
    return [observation(d, t, step=i, progress=i / len(losses)) for i, (d, t) in enumerate(losses)]


def falling(length=40):
    """Return losses that fall at different rates, with some noise from batch to batch."""
    return [
        (8.0 * math.exp(-i / 10) + 0.3 * math.sin(i) + 0.5, 2.3 * math.exp(-i / 25) + 0.1 * math.cos(i) + 0.2)
        for i in range(length)
    ]


def weights(policy, losses):
    return [policy.decide(o).weight for o in stream(losses)]


@pytest.mark.parametrize("family", LOSS_RULES)
def test_what_is_needed_are_the_losses_at_every_step_unless_set(family):
    assert "losses" in create_policy(family).needs
    assert "geometry" not in create_policy(family).needs
    assert all(create_policy(family).measures_at(s) for s in range(5))
    assert [s for s in range(7) if create_policy(family, {"measure_every": 3}).measures_at(s)] == [0, 3, 6]


def test_loss_ratio_sets_the_weighted_losses_in_the_ratio_kappa():
    for balance in (0.25, 1.0, 4.0):
        policy = create_policy("loss_ratio", {"balance": balance, "smoothing": 0})
        for distill, task in ((8.0, 0.5), (1.0, 1.0), (0.01, 3.0)):
            weight = policy.decide(observation(distill, task)).weight
            assert weight * distill / ((1 - weight) * task) == pytest.approx(balance)


def test_published_loss_ratio_leaves_the_task_loss_its_weight_of_one():
    policy = create_policy("loss_ratio", {"balance": 2.0, "smoothing": 0, "scale": "published"})
    decision = policy.decide(observation(5.0, 0.5))
    assert decision.scale * (1 - decision.weight) == pytest.approx(1.0)
    assert decision.scale * decision.weight * 5.0 == pytest.approx(2.0 * 0.5)


def test_losses_are_averaged_geometrically():
    policy = create_policy("loss_ratio", {"smoothing": 0.5})
    policy.decide(observation(1.0, 1.0))
    # Weights 1/3 and 2/3 after Adam's correction: the mean of L_t/L_d is 8^(2/3) = 4.
    assert policy.decide(observation(1.0, 8.0, step=1)).weight == pytest.approx(0.8)


def test_geometric_mean_goes_where_the_gradient_of_the_geometric_mean_goes():
    losses = torch.tensor([4.0, 0.5], dtype=torch.float64, requires_grad=True)
    losses.prod().sqrt().backward()
    distill, task = losses.grad.tolist()
    weight = create_policy("geometric_mean", {"smoothing": 0}).decide(observation(4.0, 0.5)).weight
    assert weight == pytest.approx(distill / (distill + task))


def test_uncertainty_is_a_joint_descent_on_the_published_objective():
    rate, losses = 0.05, falling()
    s = torch.tensor([0.7, 0.0], dtype=torch.float64, requires_grad=True)
    policy = create_policy("uncertainty", {"start": 0.7, "rate": rate, "scale": "published"})
    optimizer = torch.optim.SGD([s], lr=rate)
    for seen in stream(losses):
        optimizer.zero_grad()
        values = torch.tensor([seen.distill_loss, seen.task_loss], dtype=torch.float64)
        (0.5 * (-s).exp() * values + 0.5 * s).sum().backward()
        distill, task = (0.5 * (-s).exp()).tolist()
        decision = policy.decide(seen)
        assert decision.scale * decision.weight == pytest.approx(distill)
        assert decision.scale * (1 - decision.weight) == pytest.approx(task)
        optimizer.step()


def test_uncertainty_comes_to_rest_at_the_losses_ratio_and_never_passes_it():
    policy = create_policy("uncertainty", {"rate": 10.0})
    seen = weights(policy, [(1e9, 1e-3)] * 20)
    assert seen[0] == 0.5
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == pytest.approx(1e-3 / (1e9 + 1e-3))


def test_famo_is_a_descent_on_the_softmax_logits():
    rate, decay, losses = 2.0, 0.05, falling()
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    policy = create_policy("famo", {"rate": rate, "decay": decay, "smoothing": 0})
    before = None
    for seen in stream(losses):
        values = torch.tensor([seen.distill_loss, seen.task_loss], dtype=torch.float64)
        if before is not None:
            fell = before.log() - values.log()
            (gradient,) = torch.autograd.grad((torch.softmax(logits, 0) * fell).sum(), logits)
            with torch.no_grad():
                logits.mul_(1 - decay).sub_(rate * gradient)
        published = torch.softmax(logits.detach(), 0) / values
        assert policy.decide(seen).weight == pytest.approx((published / published.sum())[0].item())
        before = values


def test_famo_helps_the_loss_that_falls_more_slowly():
    def last(distill_rate):
        policy = create_policy("famo", {"rate": 10.0})
        losses = [(math.exp(-distill_rate * i), math.exp(-0.02 * i)) for i in range(50)]
        decision = [policy.decide(o) for o in stream(losses)][-1]
        return float(decision.reason.split()[1])

    assert last(0.03) < 0.5 < last(0.01)


def test_dwa_follows_the_published_formula_on_stretches_of_the_training():
    # Ten stretches of four steps, 40 in all: each is a tenth.
    losses = falling(40)
    seen = weights(create_policy("dwa", {"period": 0.1, "temperature": 1.5}), losses)
    means = [[sum(pair[i] for pair in losses[k : k + 4]) / 4 for i in (0, 1)] for k in range(0, 40, 4)]
    for stretch in range(10):
        expected = 0.5
        if stretch >= 2:
            ratios = [means[stretch - 1][i] / means[stretch - 2][i] / 1.5 for i in (0, 1)]
            expected = math.exp(ratios[0]) / (math.exp(ratios[0]) + math.exp(ratios[1]))
        assert seen[4 * stretch : 4 * stretch + 4] == pytest.approx([expected] * 4)


def test_dwa_does_not_care_for_the_size_of_one_loss():
    plain = weights(create_policy("dwa"), falling())
    scaled = weights(create_policy("dwa"), [(1000 * d, t) for d, t in falling()])
    assert len(set(plain)) > 3
    assert scaled == pytest.approx(plain)


@pytest.mark.parametrize("family", ["loss_ratio", "dwa", "famo"])
def test_a_common_unit_of_the_losses_does_not_matter(family):
    scaled = weights(create_policy(family), [(1000 * d, 1000 * t) for d, t in falling()])
    assert scaled == pytest.approx(weights(create_policy(family), falling()))


def test_uncertainty_depends_on_the_unit_as_it_says():
    plain = weights(create_policy("uncertainty"), falling())
    scaled = weights(create_policy("uncertainty"), [(1000 * d, 1000 * t) for d, t in falling()])
    assert max(abs(a - b) for a, b in zip(plain, scaled, strict=True)) > 0.01
    assert "unit" in FAMILIES["uncertainty"].__doc__


LOSSES = st.one_of(
    st.floats(min_value=0.0, max_value=1e308),
    st.sampled_from([0.0, 1e-300, 1e300, -1e-9, math.inf, -math.inf, math.nan, None]),
)


@pytest.mark.parametrize("family", LOSS_RULES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_stream_gives_valid_decisions_and_resumes_exactly(family, data):
    parameters = data.draw(drawn(family, lambda p: st.floats(p.low, p.high)))
    seen = stream(data.draw(st.lists(st.tuples(LOSSES, LOSSES), min_size=1, max_size=25)))
    whole, first = create_policy(family, parameters), create_policy(family, parameters)
    decisions = [whole.decide(o) for o in seen]
    for decision in decisions:
        assert 0.0 <= decision.weight <= 1.0
        assert decision.scale > 0.0
        assert math.isfinite(decision.scale)
        assert decision.reason
    cut = data.draw(st.integers(0, len(seen)))
    for o in seen[:cut]:
        first.decide(o)
    second = create_policy(family, parameters)
    second.load_state_dict(json.loads(json.dumps(first.state_dict(), allow_nan=False)))
    again = [second.decide(o) for o in seen[cut:]]
    assert [(d.weight, d.scale) for d in again] == [(d.weight, d.scale) for d in decisions[cut:]]
