"""Mistakes in one's own loop are reported in the loop's own words, and correct use is accepted."""

import copy
import logging
import math
import pathlib

import numpy as np
import pytest
import torch

from policies import LossBalancer, PolicyError, create_policy, policy_document
from policies.families.gradients.norm_balance import NormBalance
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
    two_losses,
)

LOGGER = "policies.balancer"
TEACHER_ALONE = ("fixed", {"weight": 1.0})


@pytest.fixture
def batch():
    (batch,) = small_batches(1)
    return batch


def balancer_of(rule, model, **more):
    return LossBalancer(create_policy(*rule), model, total_steps=10, **more)


@pytest.mark.parametrize("rule", ON_LOGITS, ids=named)
def test_logits_of_another_model_are_refused(rule, batch):
    model = small_student()
    other = copy.deepcopy(model)
    balancer = balancer_of(rule, model)
    with pytest.raises(PolicyError, match=r"no parameter.*`student` gets a gradient from `student_logits`.*a copy"):
        call(balancer, other, batch)
    assert balancer.step == 0
    assert all(parameter.grad is None for parameter in other.parameters())
    call(balancer, model, batch)
    assert any(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("rule", ON_TWO_LOSSES, ids=named)
def test_losses_of_another_model_are_refused(rule, batch):
    balancer = balancer_of(rule, small_student())
    with pytest.raises(PolicyError, match=r"no parameter.*gets a gradient from `task_loss` or `distill_loss`.*a copy"):
        call(balancer, small_student(), batch, entry="losses")


def test_parameters_of_another_model_are_told_from_those_in_a_list(batch):
    model = small_student()
    with pytest.raises(PolicyError, match="no parameter"):
        call(balancer_of(FIXED, list(small_student().parameters())), model, batch)
    call(balancer_of(FIXED, list(model.parameters())), model, batch)


@pytest.mark.parametrize("rule", [FIXED, FULL, SAMPLES], ids=named)
def test_what_is_partly_frozen_or_unused_is_let_through(rule, batch):
    model = small_student()
    unused = torch.nn.Linear(2, 2).double()
    model[0].requires_grad_(False)
    call(balancer_of(rule, torch.nn.ModuleList([model, unused])), model, batch)
    assert model[4].weight.grad is not None


def test_a_gradient_of_zero_is_a_gradient(batch):
    model = small_student()
    x, labels, teacher = batch
    step = balancer_of(FULL, model).backward_on_logits(model(x) * 0.0, teacher, labels)
    assert step.geometry.task_sq == 0.0
    assert not model[0].weight.grad.any()


def test_only_the_first_update_is_looked_at(batch):
    """Checking later updates costs nothing; a batch may leave out a part."""
    model = small_student()
    balancer = balancer_of(FIXED, model)
    call(balancer, model, batch)
    call(balancer, small_student(), batch)
    assert balancer.step == 2


class Hiding(torch.autograd.Function):
    """Runs the backward pass of a graph of its own, so that the outer graph does not show the student."""

    @staticmethod
    def forward(ctx, x, model):
        with torch.enable_grad():
            ctx.inner = model(x.detach())
        return ctx.inner.detach()

    @staticmethod
    def backward(ctx, gradient):
        ctx.inner.backward(gradient)
        return None, None


def test_a_graph_that_hides_its_parameters_is_let_through(batch):
    x, labels, teacher = batch
    model = small_student()
    balancer_of(FIXED, model).backward_on_logits(Hiding.apply(x.requires_grad_(), model), teacher, labels)
    assert model[0].weight.grad is not None


@pytest.mark.parametrize("rule", [LAST_BLOCK, FIXED], ids=named)
def test_a_last_block_of_another_model_is_refused(rule):
    model = small_student()
    with pytest.raises(PolicyError, match=r"`last_block` is not a part of `student`.*not of a copy"):
        balancer_of(rule, model, last_block=copy.deepcopy(model)[4])
    with pytest.raises(PolicyError, match=r"`last_block` must be a module, but got list"):
        balancer_of(rule, model, last_block=list(model[4].parameters()))


def test_a_last_block_that_no_loss_reaches_is_told(batch):
    body, aside = small_student(), torch.nn.Linear(5, 3).double()
    both = torch.nn.ModuleDict({"body": body, "aside": aside})
    with pytest.raises(PolicyError, match=r"no loss depends on its parameters \(`aside.weight`, `aside.bias`\); pass"):
        call(balancer_of(LAST_BLOCK, both), body, batch)
    with pytest.raises(PolicyError, match=r"parameters \(of the Linear that was passed\)"):
        call(balancer_of(LAST_BLOCK, both, last_block=aside), body, batch)
    step = call(balancer_of(LAST_BLOCK, both, last_block=body[4]), body, batch)
    assert step.observation.geometry.task_sq > 0.0


def test_a_last_block_may_be_left_out_by_a_later_batch(batch):
    body, aside = small_student(), torch.nn.Linear(3, 3).double()
    both = torch.nn.ModuleDict({"body": body, "aside": aside})
    balancer = balancer_of(("norm_balance", {"tier": "last_block", "measure_every": 1}), both)
    call(balancer, torch.nn.Sequential(body, aside), batch)
    step = call(balancer, body, batch)
    assert step.observation.geometry.task_sq == 0.0


@pytest.mark.parametrize("rule", [FIXED, TEACHER_ALONE, FULL, LAST_BLOCK, LOGIT, LOSSES, SAMPLES], ids=named)
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(
    ("wrong", "told"), [(3, r"hold 3; the logits have 3 classes"), (-1, "hold -1"), (-100, "left")]
)
def test_labels_out_of_range_are_told(rule, later, wrong, told, batch):
    x, labels, teacher = batch
    model = small_student()
    balancer = balancer_of(rule, model)
    if later:
        call(balancer, model, batch)
    labels = labels.clone()
    labels[4] = wrong
    with pytest.raises(PolicyError, match=rf"`labels` must be class numbers in \[0, 3\), but.*{told}"):
        balancer.backward_on_logits(model(x), teacher, labels)


def test_the_remedy_for_samples_without_a_label_works(batch):
    x, labels, teacher = batch
    model = small_student()
    labels = labels.clone()
    labels[4] = -100
    known = labels >= 0
    logits = model(x)
    step = balancer_of(FIXED, model).backward_on_logits(logits[known], teacher[known], labels[known])
    assert step.task_loss.item() == pytest.approx(two_losses(logits, labels, teacher)[0].item(), rel=1e-6)


@pytest.mark.parametrize("labels", [[0] * 12, np.zeros(12, dtype=np.int64), None])
def test_labels_that_are_no_tensor_are_told(labels, batch):
    model = small_student()
    with pytest.raises(PolicyError, match=rf"`labels` must be a tensor, but got {type(labels).__name__}; `torch.as_"):
        balancer_of(FIXED, model).backward_on_logits(model(batch[0]), batch[2], labels)


@pytest.mark.parametrize("name", ["student_logits", "teacher_logits"])
def test_logits_that_are_no_tensor_are_told(name, batch):
    model = small_student()
    given = {"student_logits": model(batch[0]), "teacher_logits": batch[2]} | {name: {"logits": batch[2]}}
    with pytest.raises(PolicyError, match=f"`{name}` must be a tensor, but got dict; pass the logits"):
        balancer_of(FIXED, model).backward_on_logits(**given, labels=batch[1])


def test_a_failure_in_a_healthy_call_stays_what_it_is(batch):
    """PyTorch's own error is better than one about a mistake that was not made."""
    x, labels, teacher = batch
    model = small_student()
    logits = model(x)
    logits.sum().backward()
    with pytest.raises(RuntimeError, match="second time"):
        balancer_of(FIXED, model).backward_on_logits(logits, teacher, labels)
    losses = two_losses(model(x), labels, teacher)
    sum(losses).backward()
    with pytest.raises(RuntimeError, match="second time"):
        balancer_of(FIXED, model).backward(*losses)


def test_a_failure_on_the_device_names_the_labels_as_one_cause(batch):
    class Broken(NormBalance):
        def decide(self, observation):
            raise RuntimeError("CUDA error: device-side assert triggered")

    model = small_student()
    with pytest.raises(RuntimeError, match="device-side") as caught:
        call(LossBalancer(Broken(), model), model, batch)
    assert any("`labels` outside [0, 3)" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("rule", ON_LOGITS, ids=named)
@pytest.mark.parametrize("later", [False, True])
def test_logits_without_a_graph_are_told(rule, later, batch):
    x, labels, teacher = batch
    model = small_student()
    balancer = balancer_of(rule, model)
    if later:
        call(balancer, model, batch)
    with torch.no_grad():
        logits = model(x)
    for cut in (logits, model(x).detach()):
        with pytest.raises(PolicyError, match=r"`student_logits` have no graph.*no_grad.*do not detach"):
            balancer.backward_on_logits(cut, teacher, labels)


@pytest.mark.parametrize("rule", ON_LOGITS, ids=named)
@pytest.mark.parametrize("frozen", [True, False])
def test_logits_that_are_exchanged_are_told(rule, frozen, batch):
    x, labels, teacher = batch
    model = small_student()
    if not frozen:
        teacher = teacher.clone().requires_grad_() * 1.0
    with pytest.raises(PolicyError, match=r"order is `backward_on_logits\(student_logits, teacher_logits, labels\)`"):
        balancer_of(rule, model).backward_on_logits(teacher, model(x), labels)


@pytest.mark.parametrize("rule", ON_TWO_LOSSES, ids=named)
@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("name", ["task_loss", "distill_loss"])
def test_a_loss_without_a_graph_is_refused_under_all_rules(rule, later, name, batch):
    x, labels, teacher = batch
    model = small_student()
    balancer = balancer_of(rule, model)
    if later:
        call(balancer, model, batch, entry="losses")
    before = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    losses = dict(zip(("task_loss", "distill_loss"), two_losses(model(x), labels, teacher), strict=True))
    for value, told in ((losses[name].detach(), "has no graph.*no_grad"), (0.0, "must be a tensor.*float")):
        with pytest.raises(PolicyError, match=f"`{name}` {told}"):
            balancer.backward(**(losses | {name: value}))
    for parameter, gradient in zip(model.parameters(), before, strict=True):
        assert (parameter.grad is None) == (gradient is None)
        assert gradient is None or torch.equal(parameter.grad, gradient)


def test_backward_without_gradients_is_told(batch):
    x, labels, teacher = batch
    model = small_student()
    losses = two_losses(model(x), labels, teacher)
    with torch.no_grad(), pytest.raises(PolicyError, match=r"called under `torch.no_grad\(\)`"):
        balancer_of(FIXED, model).backward(*losses)


@pytest.mark.parametrize("share", [0.0, -0.5, math.nan, math.inf, 4, 1.01])
def test_a_share_that_is_none_is_refused(share, batch):
    model = small_student()
    with pytest.raises(PolicyError, match=rf"`share` must be in \(0, 1\]: 1/k .* got {share}"):
        call(balancer_of(FIXED, model), model, batch, share=share)


FROZEN = small_student().requires_grad_(False)
NO_POLICY = "`policy` must be a policy, but got .*"
NO_STUDENT = r"`student` must be a module or its parameters.*but got "


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"policy": "runs/a/policy.json"}, NO_POLICY + r"from_file\('runs/a/policy.json', student\)"),
        ({"policy": pathlib.Path("policy.json")}, NO_POLICY + r"from_file\('policy.json', student\)"),
        ({"policy": "norm_balance"}, NO_POLICY + r"create_policy\('norm_balance'\)"),
        ({"policy": NormBalance}, NO_POLICY + r"NormBalance\(\)"),
        ({"policy": None}, NO_POLICY + "create_policy"),
        ({"policy": 0.5}, NO_POLICY + "create_policy"),
        ({"student": None}, NO_STUDENT + r"NoneType\."),
        ({"student": "student"}, NO_STUDENT + r"str of str\."),
        ({"student": FROZEN[0].weight}, NO_STUDENT + r"Parameter\."),
        ({"student": list(FROZEN.named_parameters())}, NO_STUDENT + r"list of tuple\."),
        ({"student": FROZEN}, "no parameter that requires a gradient; unfreeze"),
        ({"policy": create_policy(*LAST_BLOCK), "last_block": FROZEN[:0]}, "no parameter of `last_block` requires"),
        ({"policy": create_policy("step_schedule")}, "total_steps.*epochs times updates"),
        ({"total_steps": 0}, "at least 1, but got 0"),
        *(
            ({"total_steps": n}, f"`total_steps` must be a whole number, but got {n!r}")
            for n in (math.nan, 12.5, "100")
        ),
        *(({"temperature": n}, f"`temperature` must be a number, but got {n!r}") for n in ("4", None, True)),
        *(({"temperature": n}, f"must be positive and finite, but got {n}") for n in (0.0, -4.0, math.nan, math.inf)),
        *(
            ({"guard": guard}, "`guard` must be a `policies.guard.Guard`, 'default', or None")
            for guard in (True, False, "none", {"lowest": 0.1})
        ),
        ({"decide_on": "last"}, "decide_on.*'last'"),
    ],
)
def test_a_wrong_argument_is_told_with_the_remedy(arguments, told):
    given = {"policy": create_policy("fixed"), "student": small_student()} | arguments
    with pytest.raises(PolicyError, match=told):
        LossBalancer(**given)


def test_numpy_gives_total_steps_too():
    assert LossBalancer(create_policy("fixed"), small_student(), total_steps=np.int64(7)).total_steps == 7


@pytest.mark.parametrize("temperature", [4, np.float32(4.0)])
def test_any_kind_of_number_is_a_temperature(temperature, batch):
    model = small_student()
    call(balancer_of(FIXED, model, temperature=temperature), model, batch)


@pytest.fixture
def policy_file(tmp_path):
    import json

    path = tmp_path / "policy.json"
    path.write_text(json.dumps(policy_document(create_policy("fixed"), temperature=3.0)), encoding="utf-8")
    return path


def test_a_temperature_beside_the_file_s_is_refused_with_what_sets_one(policy_file):
    with pytest.raises(PolicyError, match=r"temperature.*from the file.*load_policy\(path\), student, temperature=2.0"):
        LossBalancer.from_file(policy_file, small_student(), temperature=2.0)


def test_a_class_where_a_list_of_classes_is_meant_is_told(policy_file):
    with pytest.raises(PolicyError, match=r"`policies` must be a list of classes; pass `policies=\[NormBalance\]`"):
        LossBalancer.from_file(policy_file, small_student(), policies=NormBalance)


def warnings_of(rule, total_steps, steps, batch, caplog):
    model = small_student()
    balancer = LossBalancer(create_policy(*rule), model, total_steps=total_steps)
    caplog.clear()
    with caplog.at_level(logging.WARNING, logger=LOGGER):
        for _ in range(steps):
            call(balancer, model, batch)
    return [record.getMessage() for record in caplog.records if record.name == LOGGER]


def test_a_training_beyond_total_steps_is_told_once(batch, caplog):
    rule = ("linear_schedule", {})
    (told,) = warnings_of(rule, 3, 9, batch, caplog)
    assert told.startswith("update 4 begins, but `total_steps` is 3: progress stays at 1")
    assert "epochs times updates" in told
    assert warnings_of(rule, 9, 9, batch, caplog) == []
    assert warnings_of(FIXED, 3, 9, batch, caplog) == []  # looks at no progress


@pytest.mark.parametrize(
    "state",
    [{}, None, [1], torch.optim.SGD(small_student().parameters(), lr=0.1).state_dict(), {"balancer": {"step": 1}}],
)
def test_what_is_no_state_of_a_balancer_is_refused(state):
    balancer = balancer_of(FIXED, small_student())
    with pytest.raises(PolicyError, match=r"state must be a dict with 'step', 'rule', 'policy', 'guard', but got"):
        balancer.load_state_dict(state)
    assert balancer.step == 0
