"""Mixed precision: autocast, logits in half precision, and a gradient scaler that finds overflows."""

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from policies import LossBalancer, create_policy, distillation_loss
from tests.policies.small_training import (
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
)

T = 4.0
OVERFLOWING = 2.0**24
"""A scale at which gradients overflow: half precision ends at 2¹⁶."""


def single(batch):
    x, labels, teacher = batch
    return x.float(), labels, teacher.float()


def scaler(scale=2.0**10):
    return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=10**6)


def losses(logits, batch):
    return cross_entropy(logits, batch[1]), distillation_loss(logits, batch[2], T)


def trained(rule, *, scale=None, clip=None, entry="logits", micro_batches=1, measure_now=False):
    """Run four updates in single precision; return steps, gradients as the optimiser saw them, student."""
    student = small_student().float()
    grad_scaler = None if scale is None else scaler(scale)
    balancer = LossBalancer(create_policy(*rule), student, total_steps=4, grad_scaler=grad_scaler)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.5)
    steps, gradients = [], []
    for batch in map(single, small_batches(4)):
        optimizer.zero_grad()
        parts = list(zip(*(part.chunk(micro_batches) for part in batch), strict=True))
        for number, part in enumerate(parts, start=1):
            more = {"update": number == len(parts), "measure_now": measure_now}
            step = call(balancer, student, part, entry=entry, share=1 / micro_batches, **more)
        if grad_scaler is not None:
            grad_scaler.unscale_(optimizer)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(student.parameters(), clip)
        steps.append(step)
        gradients.append([p.grad.clone() for p in student.parameters()])
        if grad_scaler is None:
            optimizer.step()
        else:
            grad_scaler.step(optimizer)
            grad_scaler.update()
    return steps, gradients, [p.detach() for p in student.parameters()]


@pytest.mark.parametrize("micro_batches", [1, 3])
@pytest.mark.parametrize(
    ("rule", "entry"),
    [(rule, "logits") for rule in ON_LOGITS] + [(rule, "losses") for rule in ON_TWO_LOSSES],
    ids=lambda case: case if isinstance(case, str) else named(case),
)
def test_a_scaler_changes_neither_geometry_nor_decision_nor_update(rule, entry, micro_batches):
    scaled = trained(rule, scale=2.0**10, entry=entry, micro_batches=micro_batches, measure_now=True)
    plain = trained(rule, entry=entry, micro_batches=micro_batches, measure_now=True)
    for mine, expected in zip(scaled[0], plain[0], strict=True):
        assert mine.decision.weight == pytest.approx(expected.decision.weight, rel=1e-4)
        assert mine.geometry == pytest.approx(expected.geometry, rel=1e-3)
        torch.testing.assert_close(mine.task_loss, expected.task_loss)
    torch.testing.assert_close(scaled[1:], plain[1:], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("rule", [FIXED, FULL, SAMPLES], ids=named)
def test_gradients_are_clipped_after_they_are_unscaled(rule):
    _, gradients, student = trained(rule, scale=2.0**10, clip=0.1)
    for of_step in gradients:
        norm = torch.stack([gradient.norm() for gradient in of_step]).norm().item()
        assert norm == pytest.approx(0.1, rel=1e-3)
    torch.testing.assert_close(student, trained(rule, clip=0.1)[2], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("entry", ["losses", "logits"])
@pytest.mark.parametrize("rule", [FIXED, FULL, LAST_BLOCK, LOSSES], ids=named)
def test_an_overflow_is_the_scalers_to_skip_and_leaves_the_rule_unharmed(rule, entry):
    student = small_student().float()
    grad_scaler = scaler(OVERFLOWING)
    balancer = LossBalancer(create_policy(*rule), student, grad_scaler=grad_scaler)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.5)
    before = [p.detach().clone() for p in student.parameters()]
    batch = single(small_batches(1)[0])
    for number in range(4):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            logits = student(batch[0])
        if entry == "logits":
            step = balancer.backward_on_logits(logits, batch[2], batch[1])
        else:
            step = balancer.backward(*losses(logits.float(), batch))
        assert all(p.grad.isfinite().all() for p in student.parameters()) == (number > 0)
        grad_scaler.step(optimizer)
        grad_scaler.update(1.0 if number == 0 else None)
        if number == 0:
            torch.testing.assert_close([p.detach() for p in student.parameters()], before, rtol=0.0, atol=0.0)
        assert 0.0 < step.decision.weight < 1.0
        assert math.isfinite(step.decision.scale)
    assert all(math.isfinite(value) for value in balancer.policy.state_dict().values() if value is not None)
    assert all(p.isfinite().all() for p in student.parameters())
    assert any((p != b).any() for p, b in zip(student.parameters(), before, strict=True))


@pytest.mark.parametrize("rule", [FIXED, SAMPLES], ids=named)
def test_losses_that_are_not_finite_are_the_scalers_to_skip(rule):
    """A scaler that has seen no gradient at all refuses to step."""
    student = small_student().float()
    grad_scaler = scaler()
    balancer = LossBalancer(create_policy(*rule), student, grad_scaler=grad_scaler)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.5)
    before = [p.detach().clone() for p in student.parameters()]
    x, labels, teacher = single(small_batches(1)[0])
    call(balancer, student, (x * math.nan, labels, teacher))
    grad_scaler.step(optimizer)
    grad_scaler.update()
    torch.testing.assert_close([p.detach() for p in student.parameters()], before, rtol=0.0, atol=0.0)
    assert grad_scaler.get_scale() == 2.0**9


def test_a_scaler_that_is_switched_off_is_none_at_all():
    student = small_student().float()
    off = torch.amp.GradScaler("cpu", enabled=False)
    balancer = LossBalancer(create_policy(*FULL), student, grad_scaler=off)
    batch = single(small_batches(1)[0])
    call(balancer, student, (batch[0] * math.nan, *batch[1:]))
    assert all(p.grad is None for p in student.parameters())


@pytest.mark.parametrize("inside", [False, True], ids=["after autocast", "within autocast"])
@pytest.mark.parametrize("rule", [FIXED, FULL, LAST_BLOCK, LOGIT, LOSSES, SAMPLES], ids=named)
def test_autocast_trains_as_the_mixed_loss_does(rule, inside):
    batch = single(small_batches(1)[0])
    student = small_student().float()
    balancer = LossBalancer(create_policy(*rule), student)
    autocast = torch.autocast("cpu", dtype=torch.bfloat16)
    with autocast:
        logits = student(batch[0])
        if inside:
            step = balancer.backward_on_logits(logits, batch[2], batch[1], measure_now=True)
    if not inside:
        step = balancer.backward_on_logits(logits, batch[2], batch[1], measure_now=True)
    assert logits.dtype == torch.bfloat16
    twin = small_student().float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = twin(batch[0])
    if rule == SAMPLES:
        each = [cross_entropy(logits.float(), batch[1], reduction="none")]
        soft = torch.log_softmax(batch[2] / T, 1)
        log_student = torch.log_softmax(logits.float() / T, 1)
        each.append(T**2 * (soft.exp() * (soft - log_student)).sum(1))
        mixed = (step.weights * each[1] + (1 - step.weights) * each[0]).mean()
    else:
        task, distill = losses(logits.float(), batch)
        mixed = step.decision.weight * distill + (1 - step.decision.weight) * task
    mixed.backward()
    for mine, expected in zip(student.parameters(), twin.parameters(), strict=True):
        assert mine.grad.dtype == torch.float32
        torch.testing.assert_close(mine.grad, expected.grad, rtol=0.05, atol=0.01)
    exact = small_student().float()
    full = LossBalancer(create_policy(*FIXED), exact).backward(*losses(exact(batch[0]), batch), measure_now=True)
    assert step.geometry == pytest.approx(full.geometry, rel=0.1)


@pytest.mark.parametrize("rule", [FIXED, FULL, LOGIT, SAMPLES], ids=named)
def test_a_student_in_half_precision_is_scaled_out_of_underflow(rule):
    """Small gradients vanish in half precision unless they are scaled; the geometry must not see the scale."""
    student = small_student().half()
    grad_scaler = scaler(2.0**12)
    balancer = LossBalancer(create_policy(*rule), student, grad_scaler=grad_scaler)
    x, labels, teacher = small_batches(1)[0]
    logits = student(x.half())
    step = balancer.backward_on_logits(logits, teacher.half(), labels, measure_now=True)
    exact = small_student()
    expected = call(LossBalancer(create_policy(*rule), exact), exact, (x, labels, teacher), measure_now=True)
    assert step.geometry == pytest.approx(expected.geometry, rel=0.05)
    for mine, reference in zip(student.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(mine.grad.double() / 2.0**12, reference.grad, rtol=0.05, atol=2e-3)
