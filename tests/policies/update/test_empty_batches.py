"""A batch without a sample changes nothing: no weight, no memory, no share of other batches."""

import logging

import pytest
import torch

from policies import FAMILIES, LossBalancer, PolicyError, create_policy
from policies.guard import Guard
from policies.guarding.intervention import Intervention
from policies.stacked.balancer import StackedBalancer
from tests.policies.small_training import HALVES, ON_LOGITS, TEACHER, call, named, small_batches, small_student

EMPTY = tuple(part[:0] for part in small_batches(1)[0])
RULES = [*((family, {}) for family in FAMILIES), HALVES]


def weights_of(student):
    return torch.cat([parameter.detach().flatten() for parameter in student.parameters()])


@pytest.mark.parametrize("guard", [None, "default"])
@pytest.mark.parametrize("rule", RULES, ids=named)
def test_an_empty_batch_is_no_step(rule, guard):
    student = small_student()
    optimizer = torch.optim.AdamW(student.parameters(), lr=0.1, weight_decay=0.1)
    balancer = LossBalancer(create_policy(*rule), student, total_steps=9, guard=guard)
    for batch in small_batches(2):
        optimizer.zero_grad()
        call(balancer, student, batch)
        optimizer.step()
    before, memory = weights_of(student), balancer.policy.state_dict()
    optimizer.zero_grad()
    step = call(balancer, student, EMPTY)
    optimizer.step()
    assert torch.equal(weights_of(student), before)
    assert balancer.policy.state_dict() == memory
    assert step.intervention == "the batch has no sample: step skipped"
    assert 0.0 <= step.decision.weight <= 1.0
    assert (step.task_loss, step.distill_loss, balancer.step) == (0.0, 0.0, 3)
    assert call(balancer, student, small_batches(1)[0]).intervention is None


def test_an_empty_batch_is_counted_and_told_once(caplog):
    student, guard = small_student(), Guard()
    balancer = LossBalancer(create_policy("fixed"), student, guard=guard)
    with caplog.at_level(logging.WARNING, logger="policies.guard"):
        call(balancer, student, small_batches(1)[0])
        for _ in range(3):
            call(balancer, student, EMPTY)
    assert (guard.skipped, guard.counts) == (3, {Intervention.EMPTY: 3})
    (record,) = caplog.records
    assert record.getMessage().startswith("step 1: the batch has no sample: step skipped")


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("decide_on", ["update", "first"])
@pytest.mark.parametrize("rule", [*ON_LOGITS, HALVES, TEACHER], ids=named)
def test_an_empty_micro_batch_adds_nothing(rule, decide_on, place):
    def trained(parts):
        student = small_student()
        balancer = LossBalancer(create_policy(*rule), student, total_steps=9, decide_on=decide_on)
        for number, part in enumerate(parts, start=1):
            step = call(balancer, student, part, share=0.5, update=number == len(parts))
        return step, [parameter.grad for parameter in student.parameters()]

    halves = list(zip(*(part.chunk(2) for part in small_batches(1)[0]), strict=True))
    expected, gradients = trained(halves)
    step, found = trained([*halves[:place], EMPTY, *halves[place:]])
    assert step.decision.weight == pytest.approx(expected.decision.weight, rel=1e-12)
    if expected.observation.confidence is not None:
        assert step.observation.confidence == pytest.approx(expected.observation.confidence, rel=1e-12)
    torch.testing.assert_close(found, gradients)


def test_a_gradient_scaler_finds_gradients_of_zero():
    student = small_student().float()
    scaler = torch.amp.GradScaler("cpu")
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    balancer = LossBalancer(create_policy("sample_norm_balance"), student, grad_scaler=scaler)
    x, labels, teacher = EMPTY
    before = weights_of(student)
    step = balancer.backward_on_logits(student(x.float()), teacher.float(), labels)
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(weights_of(student), before)
    assert 0.0 <= step.decision.weight <= 1.0


def test_stacked_students_refuse_an_empty_batch():
    balancers = [LossBalancer(create_policy("fixed"), [torch.zeros(1, requires_grad=True)]) for _ in range(2)]
    logits = torch.zeros(2, 0, 3, requires_grad=True)
    with pytest.raises(PolicyError, match=r"a batch must have a sample, .* \[2, 0, 3\]; leave it out"):
        StackedBalancer(balancers).gradient_on_logits(
            logits, torch.zeros(2, 0, 3), torch.zeros(2, 0, dtype=torch.int64), parameters=logits, block=[]
        )


def test_a_yes_no_output_trains_as_two_logits_and_as_two_losses():
    """Both ways that the error recommends train."""
    torch.manual_seed(0)
    student, x, yes = torch.nn.Linear(4, 1), torch.randn(8, 4), torch.randint(0, 2, (8,))
    outputs = student(x)
    two = torch.cat([torch.zeros_like(outputs), outputs], 1)
    balancer = LossBalancer(create_policy("sample_norm_balance"), student)
    balancer.backward_on_logits(two, torch.randn(8, 2), yes)
    assert student.weight.grad.norm() > 0.0
    student.zero_grad()
    fixed = LossBalancer(create_policy("fixed", {"weight": 0.5}), student)
    outputs = student(x).squeeze(1)
    task = torch.nn.functional.binary_cross_entropy_with_logits(outputs, yes.float())
    fixed.backward(task, (outputs - torch.randn(8)).square().mean())
    assert student.weight.grad.norm() > 0.0
