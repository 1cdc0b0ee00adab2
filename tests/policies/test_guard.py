"""The guard: what it mends, and what it must not change; in a healthy training it changes nothing."""

import copy
import json
import logging
import math

import pytest
import torch

from policies import FAMILIES, Decision, Geometry, LossBalancer, Observation, PolicyError, create_policy
from policies.guard import Guard
from policies.guarding.intervention import Intervention, intervention_kind

EARLY = Geometry(distill_sq=4.0, task_sq=1.0, inner=0.5)


def observed(step=0, task=1.0, distill=2.0, geometry=None):
    return Observation(step=step, progress=0.0, geometry=geometry, task_loss=task, distill_loss=distill)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_broken_loss_leaves_the_step_to_the_other(broken):
    guard = Guard()
    teacher_only = guard.review(observed(task=broken), Decision(0.3))
    labels_only = guard.review(observed(distill=broken), Decision(0.3))
    assert (teacher_only.decision.weight, labels_only.decision.weight) == (1.0, 0.0)
    assert not teacher_only.skip
    assert not labels_only.skip
    assert guard.counts == {Intervention.TASK_LOSS: 1, Intervention.DISTILL_LOSS: 1}
    assert guard.skipped == 0


@pytest.mark.parametrize("scale", [math.nan, math.inf, 0.0])
def test_a_broken_loss_breaks_no_step_through_the_scale_that_was_made_of_it(scale):
    guard = Guard()
    verdict = guard.review(observed(task=math.nan), Decision(math.nan, scale))
    assert (verdict.decision.weight, verdict.decision.scale) == (1.0, 1.0)
    assert guard.review(observed(task=math.nan), Decision(0.3, 2.5)).decision.scale == 2.5


def test_two_broken_losses_skip_the_step():
    guard = Guard()
    verdict = guard.review(observed(task=math.nan, distill=math.inf), Decision(0.3))
    assert verdict.skip
    assert intervention_kind(verdict.intervention) == Intervention.BOTH_LOSSES
    assert (guard.skipped, guard.interventions) == (1, 1)


@pytest.mark.parametrize(("wanted", "done"), [(0.0, 0.2), (0.2, 0.2), (0.5, 0.5), (0.8, 0.8), (1.0, 0.8)])
def test_weights_are_kept_within_the_bounds(wanted, done):
    guard = Guard(lowest=0.2, highest=0.8)
    verdict = guard.review(observed(), Decision(wanted, branch=3))
    assert verdict.decision.weight == done
    assert verdict.decision.branch == 3
    assert (verdict.intervention is None) == (wanted == done)


@pytest.mark.parametrize("decision", [Decision(math.nan), Decision(0.9, scale=math.inf), Decision(0.9, scale=0.0)])
def test_an_invalid_decision_is_replaced_by_the_last_valid_one(decision):
    guard = Guard()
    assert guard.review(observed(), decision).decision.weight == 0.5
    guard.review(observed(), Decision(0.7))
    verdict = guard.review(observed(), decision)
    assert (verdict.decision.weight, verdict.decision.scale) == (0.7, 1.0)
    assert guard.counts == {Intervention.INVALID: 2}


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_broken_gradient_is_withdrawn_from_all_parameters(broken):
    guard = Guard()
    parameters = [torch.ones(2, requires_grad=True) for _ in range(3)]
    parameters[0].grad, parameters[2].grad = torch.ones(2), torch.tensor([1.0, broken])
    assert intervention_kind(guard.inspect(parameters)) == Intervention.GRADIENT
    assert all(parameter.grad is None for parameter in parameters)
    parameters[0].grad = torch.ones(2)
    assert guard.inspect(parameters) is None
    assert (guard.skipped, guard.counts) == (1, {Intervention.GRADIENT: 1})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_looking_at_gradients_leaves_every_bit_of_them(dtype):
    parameter = torch.ones(5, dtype=dtype, requires_grad=True)
    values = torch.tensor([0.1, -3e4, torch.finfo(dtype).tiny, torch.finfo(dtype).max, 0.0], dtype=dtype)
    parameter.grad = values.clone()
    assert Guard().inspect([parameter]) is None
    assert torch.equal(parameter.grad, values)


def test_sparse_and_expanded_gradients_can_be_looked_at():
    embedding = torch.nn.Embedding(6, 2, sparse=True)
    embedding(torch.tensor([1, 1, 4])).sum().backward()
    expanded = torch.ones(4, requires_grad=True)
    expanded.grad = torch.ones(()).expand(4)
    guard = Guard()
    assert guard.inspect([embedding.weight]) is None
    assert guard.inspect([expanded]) is None
    (embedding(torch.tensor([2])).sum() * math.nan).backward()
    assert guard.inspect([embedding.weight]) is not None


def test_a_look_that_failed_halfway_spoils_no_later_one():
    """The kernel cannot read complex gradients, but has read the first gradient by then."""
    guard = Guard()
    assert not guard.all_finite([torch.tensor([math.inf]), torch.ones(2, dtype=torch.complex64)])
    assert guard.all_finite([torch.ones(2)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"lowest": 0.9, "highest": 0.1}, "`lowest` <= `highest`"),
        ({"highest": 1.5}, "1.5"),
        ({"check_every": 0}, "`check_every` must be at least 1, but got 0"),
        ({"learning_rate": 0.0}, "`learning_rate` must be positive and finite, but got 0.0"),
        ({"learning_rate": math.inf}, "inf"),
    ],
)
def test_wrong_arguments_are_told(arguments, message):
    with pytest.raises(PolicyError, match=message):
        Guard(**arguments)


def test_the_limit_holds_λ_where_the_mixed_loss_would_rise():
    guard = Guard(learning_rate=0.1)
    guard.review(observed(geometry=EARLY), Decision(0.1))
    verdict = guard.review(observed(1, geometry=EARLY), Decision(0.9))
    assert 0.1 < verdict.decision.weight < 0.9
    assert intervention_kind(verdict.intervention) == Intervention.RATE
    down = guard.review(observed(2, geometry=EARLY), Decision(0.0))
    assert down.decision.weight == 0.0  # towards the smaller loss λ may jump
    assert down.intervention is None


def test_the_limit_goes_on_between_measurements_by_the_last_one():
    guard = Guard(learning_rate=0.1)
    guard.review(observed(geometry=EARLY), Decision(0.1))
    weights = [guard.review(observed(step, None, None), Decision(0.9)).decision.weight for step in range(1, 8)]
    assert weights == sorted(weights)
    assert 0.1 < weights[0] < weights[4] < weights[-1] == 0.9


def test_a_measurement_that_is_not_finite_does_not_lift_the_limit():
    guard, unbroken = Guard(learning_rate=0.1), Guard(learning_rate=0.1)
    for one in (guard, unbroken):
        one.review(observed(geometry=EARLY), Decision(0.1))
    broken = guard.review(observed(1, geometry=Geometry(math.inf, math.nan, 0.0)), Decision(0.9))
    assert broken == unbroken.review(observed(1), Decision(0.9))
    assert 0.1 < broken.decision.weight < 0.9
    assert all(value is None or math.isfinite(value) for value in guard.state_dict().values())


def test_the_limit_takes_the_losses_of_its_measurement():
    """The guard sees only the first micro-batch's share of an update's losses between measurements."""
    guard, unshared = Guard(learning_rate=0.1), Guard(learning_rate=0.1)
    for one in (guard, unshared):
        one.review(observed(geometry=EARLY), Decision(0.1))
    shared = guard.review(observed(1, 0.25, 0.5), Decision(0.9))
    assert shared.decision == unshared.review(observed(1), Decision(0.9)).decision


def test_a_mean_that_rounding_carries_beyond_a_bound_is_no_intervention():
    """0.8 in float32 exceeds 0.8. If the first micro-batch were replaced, so would be those after it."""
    torch.manual_seed(0)
    model, guard = torch.nn.Linear(4, 3), Guard(highest=0.8)
    rule = create_policy("sample_norm_ratio_threshold", {"below": 0.9, "above": 0.0, "threshold": 2.0})
    balancer = LossBalancer(rule, model, guard=guard)
    x, labels = torch.randn(4, 4), torch.tensor([0, 1, 2, 0])
    teacher = model(x).detach() + 0.01  # the student's own belief, so that it pulls less than the label
    teacher[3] = torch.tensor([-30.0, 30.0, 0.0])
    balancer.backward_on_logits(model(x[:2]), teacher[:2], labels[:2], share=0.5, update=False)
    step = balancer.backward_on_logits(model(x[2:]), teacher[2:], labels[2:], share=0.5)
    assert step.weights.tolist() == pytest.approx([0.8, 0.8, 0.8, 0.0])
    assert guard.interventions == 0


def test_a_step_tells_the_weights_that_were_carried_out():
    model = torch.nn.Linear(4, 3)
    balancer = LossBalancer(create_policy("sample_norm_balance"), model)
    logits = model(torch.randn(2, 4))
    step = balancer.backward_on_logits(logits, torch.full((2, 3), math.nan), torch.tensor([0, 1]))
    assert step.decision.weight == 0.0
    assert step.weights.tolist() == [0.0, 0.0]


def test_the_learning_rate_may_be_asked_for_at_each_step():
    optimizer = torch.optim.SGD([torch.ones(1, requires_grad=True)], lr=0.1)
    number, function, object_ = (Guard(learning_rate=rate) for rate in (0.1, lambda: 0.1, optimizer))
    results = set()
    for guard in (number, function, object_):
        guard.review(observed(geometry=EARLY), Decision(0.1))
        results.add(guard.review(observed(1, geometry=EARLY), Decision(0.9)).decision.weight)
    assert len(results) == 1
    optimizer.param_groups[0]["lr"] = 0.2
    assert object_.review(observed(2, geometry=EARLY), Decision(0.9)).decision.weight > max(results)


def test_without_a_learning_rate_λ_may_jump():
    guard = Guard()
    guard.review(observed(geometry=EARLY), Decision(0.0))
    assert guard.review(observed(1, geometry=EARLY), Decision(1.0)).decision.weight == 1.0


def test_the_alarm_rings_once_in_a_training_that_diverges(caplog):
    guard = Guard()
    losses = [2.0 * 0.97**i for i in range(150)] + [5.0] * 300
    with caplog.at_level(logging.WARNING, logger="policies.guard"):
        verdicts = [guard.review(observed(i, loss, loss), Decision(0.5)) for i, loss in enumerate(losses)]
    told = [i for i, verdict in enumerate(verdicts) if verdict.intervention is not None]
    assert len(told) == len(caplog.records) == 1
    assert 190 < told[0] < 230
    assert guard.counts == {Intervention.DIVERGENCE: 1}
    assert all(verdict.decision.weight == 0.5 and not verdict.skip for verdict in verdicts)


def alarms(caplog, readings):
    """Show a guard pairs of a task and a distillation loss; return its alarms as (step, text), and the guard."""
    guard = Guard()
    with caplog.at_level(logging.WARNING, logger="policies.guard"):
        for i, (task, distill) in enumerate(readings):
            guard.review(observed(i, task, distill), Decision(0.5))
    told = [record.args for record in caplog.records if "only counted" not in record.message]
    caplog.clear()
    return told, guard


def test_a_teacher_that_is_never_finite_is_told_by_name_and_is_no_divergence(caplog):
    told, guard = alarms(caplog, [(2.0 * 0.99**i, math.nan) for i in range(200)])
    assert [step for step, _ in told] == [49]
    assert told[0][1].startswith("the distillation loss is not finite: in 50 readings in a row; look for NaN")
    assert "teacher" in told[0][1]
    assert guard.counts == {Intervention.DISTILL_LOSS: 200}


def test_a_task_loss_that_breaks_for_good_is_told_by_name(caplog):
    told, guard = alarms(caplog, [(2.0 if i < 100 else math.inf, 1.0) for i in range(200)])
    assert [step for step, _ in told] == [149]
    assert told[0][1].startswith("the task loss is not finite: in 50 readings in a row")
    assert Intervention.DIVERGENCE not in guard.counts


def test_a_loss_that_is_broken_now_and_then_rings_no_alarm(caplog):
    told, _ = alarms(caplog, [(2.0, 1.0 if i % 50 == 49 else math.nan) for i in range(500)])
    assert told == []
    told, _ = alarms(caplog, [(2.0, math.nan) if i % 60 < 30 else (math.nan, 1.0) for i in range(500)])
    assert told == []


def test_losses_that_were_never_finite_do_not_diverge_but_those_that_break_do(caplog):
    told, guard = alarms(caplog, [(math.nan, math.nan)] * 100)
    assert [step for step, _ in told] == [49]
    assert told[0][1].startswith("both losses are not finite")
    assert "the inputs and the student's weights" in told[0][1]
    assert guard.skipped == 100
    for healthy in (1, 5, 100):
        told, guard = alarms(caplog, [(2.0, 1.0)] * healthy + [(math.nan, math.nan)] * 100)
        assert [step for step, _ in told] == [healthy + 49]
        assert told[0][1].startswith("the training diverges: no finite loss in 50 readings; a lower learning rate")
        assert guard.counts[Intervention.DIVERGENCE] == 1


def test_the_first_intervention_of_each_kind_is_logged_once_a_training(caplog):
    guard = Guard(lowest=0.2)
    parameter = torch.ones(2, requires_grad=True)

    def go(guard, first, last):
        with caplog.at_level(logging.WARNING, logger="policies.guard"):
            for i in range(first, last):
                guard.review(observed(i, math.nan if i % 2 else 1.0), Decision(0.0))
                parameter.grad = torch.tensor([1.0, math.inf])
                guard.inspect([parameter])

    go(guard, 0, 6)
    assert [(record.args[0], intervention_kind(record.args[1])) for record in caplog.records] == [
        (0, Intervention.BOUNDS),
        (0, Intervention.GRADIENT),
        (1, Intervention.TASK_LOSS),
    ]
    resumed = Guard(lowest=0.2)
    resumed.load_state_dict(json.loads(json.dumps(guard.state_dict())))
    caplog.clear()
    go(resumed, 6, 12)
    assert not caplog.records
    assert resumed.counts[Intervention.GRADIENT] == 12


def test_state_goes_through_json_and_continues_exactly():
    def stream(guard, first, last):
        result = []
        for i in range(first, last):
            loss = math.nan if i % 31 == 30 else 2.0 * 0.97**i if i < 150 else 6.0
            distill = math.nan if 220 <= i < 290 else 2 * loss  # broken for good
            geometry = EARLY if i % 5 == 0 else None
            result.append(guard.review(observed(i, loss, distill, geometry), Decision(0.9 * (i % 40 > 20))))
        return result

    whole = Guard(lowest=0.1, learning_rate=0.3)
    expected = stream(whole, 0, 300)
    for cut in (3, 35, 155, 190, 230, 269, 285):
        first, second = Guard(lowest=0.1, learning_rate=0.3), Guard(lowest=0.1, learning_rate=0.3)
        stream(first, 0, cut)
        second.load_state_dict(json.loads(json.dumps(first.state_dict())))
        assert stream(second, cut, 300) == expected[cut:]
        assert second.state_dict() == whole.state_dict()
    kinds = {Intervention.DIVERGENCE, Intervention.RATE, Intervention.BOTH_LOSSES, Intervention.DISTILL_LOSS}
    assert kinds <= set(whole.counts)


@pytest.fixture(scope="module")
def digits():
    from sklearn.datasets import load_digits

    torch.set_num_threads(1)
    data = load_digits()
    images = torch.tensor(data.images[:400], dtype=torch.float32).flatten(1) / 16
    labels = torch.tensor(data.target[:400])
    teacher = torch.linalg.lstsq(images, torch.nn.functional.one_hot(labels, 10).float()).solution
    return images, labels, 10 * images @ teacher


def trained(rule, digits, guard="default", *, steps=60, rate=lambda step: 1e-2):
    """Run a real training; return the student's weights and the steps."""
    images, labels, teacher = digits
    torch.manual_seed(0)
    student = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
    optimizer = torch.optim.Adam(student.parameters())
    balancer = LossBalancer(create_policy(*rule), student, total_steps=steps, guard=guard)
    done = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate(step)
        chosen = torch.randint(len(labels), (32,))
        optimizer.zero_grad()
        done.append(balancer.backward_on_logits(student(images[chosen]), teacher[chosen], labels[chosen]))
        optimizer.step()
    return [parameter.detach() for parameter in student.parameters()], done


def test_the_alarm_rings_in_a_real_training_whose_learning_rate_is_far_too_high(digits):
    rule = ("fixed", {"weight": 0.5})
    _, steps = trained(rule, digits, steps=300, rate=lambda step: 1e-2 if step < 150 else 1.0)
    (rung,) = [step for step in steps if step.intervention is not None]
    assert 190 <= rung.step <= 240
    assert intervention_kind(rung.intervention) == Intervention.DIVERGENCE


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_training_that_is_well_is_equal_to_the_last_bit_without_a_guard(family, digits):
    guarded, steps = trained((family,), digits)
    free, others = trained((family,), digits, guard=None)
    assert all(torch.equal(a, b) for a, b in zip(guarded, free, strict=True))
    assert [step.decision for step in steps] == [step.decision for step in others]
    assert not any(step.intervention for step in steps)


def test_a_student_survives_a_broken_batch(digits):
    images, labels, teacher = digits
    torch.manual_seed(0)
    student = torch.nn.Linear(64, 10)
    before = copy.deepcopy(student.state_dict())
    optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
    balancer = LossBalancer(create_policy("fixed", {"weight": 0.5}), student)
    broken = images.clone()
    broken[3] = math.nan
    step = balancer.backward_on_logits(student(broken), teacher, labels)
    optimizer.step()
    assert intervention_kind(step.intervention) == Intervention.BOTH_LOSSES
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())
    bad_teacher = teacher.clone()
    bad_teacher[0] = math.nan
    step = balancer.backward_on_logits(student(images), bad_teacher, labels)
    optimizer.step()
    assert step.decision.weight == 0.0
    assert all(value.isfinite().all() for value in student.state_dict().values())


def test_an_overflow_that_shows_in_the_gradients_alone_skips_the_step():
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    balancer = LossBalancer(create_policy("fixed", {"weight": 0.5}), [parameter])
    step = balancer.backward(parameter.sqrt().sum(), parameter.sum())  # the slope of a square root at 0
    optimizer.step()
    assert intervention_kind(step.intervention) == Intervention.GRADIENT
    assert parameter.item() == 0.0
    assert balancer.guard.skipped == 1
