"""An update in micro-batches is the update of the whole batch."""

import math

import pytest
import torch

from policies import LossBalancer, PolicyError, create_policy
from tests.policies.small_training import (
    COUNT,
    FIXED,
    FULL,
    LAST_BLOCK,
    LOGIT,
    LOSSES,
    ON_LOGITS,
    ON_TWO_LOSSES,
    SAMPLES,
    call,
    named,
    small_batches,
    small_student,
    two_losses,
)

SIZES = (5, 5, 2)


def split(batch, sizes=SIZES):
    return zip(*(torch.split(part, sizes) for part in batch), strict=True)


def in_micro_batches(balancer, model, batch, *, entry, sizes=SIZES, **more):
    parts = list(split(batch, sizes))
    for part in parts[:-1]:
        assert call(balancer, model, part, entry=entry, share=len(part[0]) / COUNT, update=False, **more) is None
    return call(balancer, model, parts[-1], entry=entry, share=len(parts[-1][0]) / COUNT, **more)


def assert_same_step(mine, expected):
    assert mine.decision.weight == pytest.approx(expected.decision.weight, rel=1e-9)
    assert mine.decision.scale == pytest.approx(expected.decision.scale, rel=1e-9)
    assert mine.step == expected.step
    torch.testing.assert_close(mine.task_loss, expected.task_loss)
    torch.testing.assert_close(mine.distill_loss, expected.distill_loss)
    for one, other in ((mine.geometry, expected.geometry), (mine.observation.geometry, expected.observation.geometry)):
        if other is not None:
            assert one == pytest.approx(other, rel=1e-6)
    if expected.weights is not None:
        torch.testing.assert_close(mine.weights, expected.weights)


CASES = [pytest.param(rule, "losses", id=f"losses-{named(rule)}") for rule in ON_TWO_LOSSES] + [
    pytest.param(rule, "logits", id=f"logits-{named(rule)}") for rule in ON_LOGITS
]


@pytest.mark.parametrize("measure_now", [False, True], ids=["unprobed", "probed"])
@pytest.mark.parametrize(("rule", "entry"), CASES)
def test_micro_batches_train_as_the_whole_batch(rule, entry, measure_now):
    whole, parts = small_student(), small_student()
    pairs = []
    for model in (whole, parts):
        balancer = LossBalancer(create_policy(*rule), model, total_steps=4)
        pairs.append((balancer, torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)))
    for batch in small_batches(4):
        for _, optimizer in pairs:
            optimizer.zero_grad()
        expected = call(pairs[0][0], whole, batch, entry=entry, measure_now=measure_now)
        mine = in_micro_batches(pairs[1][0], parts, batch, entry=entry, measure_now=measure_now)
        assert_same_step(mine, expected)
        for one, other in zip(parts.parameters(), whole.parameters(), strict=True):
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-10)
        for _, optimizer in pairs:
            optimizer.step()
    assert pairs[1][0].step == 4


@pytest.mark.parametrize("rule", [LAST_BLOCK, LOGIT, LOSSES], ids=named)
def test_deciding_on_the_first_micro_batch_reads_that_alone_and_walks_once(rule):
    (batch,) = small_batches(1)
    model = small_student()
    balancer = LossBalancer(create_policy(*rule), model, decide_on="first")
    walks = []
    model[0].weight.register_hook(lambda gradient: walks.append(1))
    mine = in_micro_batches(balancer, model, batch, entry="logits")
    assert len(walks) == len(SIZES)
    twin = small_student()
    first = next(iter(split(batch)))
    expected = call(LossBalancer(create_policy(*rule), twin), twin, first, entry="logits")
    assert mine.decision.weight == pytest.approx(expected.decision.weight, rel=1e-9)
    weight = mine.decision.weight
    other = small_student()
    logits = other(batch[0])
    task, distill = two_losses(logits, batch[1], batch[2])
    (weight * distill + (1 - weight) * task).backward()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def test_halves_stay_unbiased_over_micro_batches():
    """⟨g_d, g_t⟩ loses the micro-batches' shared noise, weighted with the squares of their shares."""
    rule = ("norm_balance", {"pair": "halves", "measure_every": 1})
    (batch,) = small_batches(1)
    model = small_student()
    step = in_micro_batches(LossBalancer(create_policy(*rule), model), model, batch, entry="logits")
    plain = small_student()
    same = call(
        LossBalancer(create_policy("norm_balance", {"measure_every": 1}), plain), plain, batch, entry="logits"
    ).geometry
    noise = 0.0
    for part in split(batch):
        share = len(part[0]) / COUNT
        inner = []
        for pair in ("same", "halves"):
            twin = small_student()
            policy = create_policy("norm_balance", {"pair": pair, "measure_every": 1})
            inner.append(call(LossBalancer(policy, twin), twin, part, entry="logits").geometry.inner)
        noise += share**2 * (inner[0] - inner[1])
    assert step.geometry.distill_sq == pytest.approx(same.distill_sq)
    assert step.geometry.inner == pytest.approx(same.inner - noise)


def test_the_teachers_signals_are_means_over_the_update():
    class Listening(type(create_policy("norm_balance"))):
        @property
        def needs(self):
            return frozenset({"teacher"})

    (batch,) = small_batches(1)
    seen = []
    for sizes in ((COUNT,), SIZES):
        model = small_student()
        balancer = LossBalancer(Listening(measure_every=1), model)
        step = in_micro_batches(balancer, model, batch, entry="logits", sizes=sizes)
        seen.append((step.observation.confidence, step.observation.agreement))
    soft = torch.softmax(batch[2], dim=1)
    expected = (soft.amax(1).mean().item(), soft[torch.arange(COUNT), batch[1]].mean().item())
    assert seen == [pytest.approx(expected), pytest.approx(expected)]


def test_no_state_is_taken_within_an_update():
    model = small_student()
    (batch,) = small_batches(1)
    balancer = LossBalancer(create_policy(*FULL), model)
    call(balancer, model, batch, entry="losses", update=False)
    with pytest.raises(PolicyError, match="middle of an accumulated update.*update=True"):
        balancer.state_dict()
    call(balancer, model, batch, entry="losses")
    assert balancer.state_dict()["step"] == 1


def test_a_state_restored_within_an_update_begins_a_new_one():
    model = small_student()
    (batch,) = small_batches(1)
    balancer = LossBalancer(create_policy(*FULL), model)
    state = balancer.state_dict()
    call(balancer, model, batch, entry="losses", update=False)
    balancer.load_state_dict(state)
    mine = call(balancer, model, batch, entry="losses")
    twin = small_student()
    assert_same_step(mine, call(LossBalancer(create_policy(*FULL), twin), twin, batch, entry="losses"))


def test_an_update_that_failed_leaves_nothing_behind():
    model = small_student()
    (batch,) = small_batches(1)
    balancer = LossBalancer(create_policy(*FULL), model)
    call(balancer, model, batch, entry="losses", update=False)
    spent = two_losses(model(batch[0]), batch[1], batch[2])
    sum(spent).backward()
    with pytest.raises(RuntimeError, match="second time"):
        balancer.backward(*spent)
    model.zero_grad()
    mine = call(balancer, model, batch, entry="losses")
    twin = small_student()
    assert_same_step(mine, call(LossBalancer(create_policy(*FULL), twin), twin, batch, entry="losses"))


def test_probing_some_micro_batches_only_is_refused():
    model = small_student()
    (batch,) = small_batches(1)
    balancer = LossBalancer(create_policy(*FIXED), model)
    call(balancer, model, batch, entry="losses", update=False)
    with pytest.raises(PolicyError, match="measure_now.*same for all micro-batches"):
        call(balancer, model, batch, entry="losses", measure_now=True)


@pytest.mark.parametrize("rule", [FULL, FIXED, SAMPLES], ids=named)
def test_a_later_micro_batch_that_is_not_finite_withdraws_the_update(rule):
    model = small_student()
    (batch,) = small_batches(1)
    balancer = LossBalancer(create_policy(*rule), model)
    x, labels, teacher = batch
    call(balancer, model, batch, entry="logits", share=0.5, update=False)
    call(balancer, model, (x * math.nan, labels, teacher), entry="logits", share=0.5)
    assert all(parameter.grad is None for parameter in model.parameters())
