"""Losses of each sample and their readings at the outputs, against the closed forms on logits."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from policies import LossBalancer, PolicyError, create_policy
from policies.families import FAMILIES
from policies.policy import ON_LOGITS
from policies.update.logits import LogitPair
from policies.update.outputs import OutputPair, shows_samples

N, C, TEMPERATURE = 8, 5, 3.0
ON_OUTPUTS = [name for name in list(FAMILIES) if create_policy(name, {}).looks_at != "logits"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def batch():
    return torch.randn(N, 6).double(), 3.0 * torch.randn(N, C).double(), torch.randint(C, (N,))


def losses(logits, teacher, labels):
    p = torch.softmax(teacher / TEMPERATURE, 1)
    difference = torch.log_softmax(teacher / TEMPERATURE, 1) - torch.log_softmax(logits / TEMPERATURE, 1)
    return cross_entropy(logits, labels, reduction="none"), TEMPERATURE**2 * (p * difference).sum(1)


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 7), nn.Tanh(), nn.Linear(7, C)).double()


def both(student, inputs, teacher, labels):
    """Return the two objectives over graphs of their own."""
    logits = student(inputs)
    on_logits = LogitPair(student(inputs), teacher, labels, temperature=TEMPERATURE)
    return OutputPair(logits, *losses(logits, teacher, labels)), on_logits


def test_readings_gradients_and_halves_are_those_of_the_closed_forms():
    student, (inputs, teacher, labels) = network(), batch()
    ours, theirs = both(student, inputs, teacher, labels)
    close = torch.testing.assert_close
    close((ours.task_loss, ours.distill_loss), (theirs.task_loss, theirs.distill_loss))
    close((ours.task_losses, ours.distill_losses), (theirs.task_losses, theirs.distill_losses))
    close((ours.task_gradients, ours.distill_gradients), (theirs.task_gradients, theirs.distill_gradients))
    close(ours.output_geometry(), theirs.output_geometry())
    one, other = ours.samples(3, 0.5), theirs.samples(3, 0.5)
    close((one.cosine, one.norm_ratio, one.loss_ratio), (other.cosine, other.norm_ratio, other.loss_ratio))
    assert (one.confidence, one.agreement, one.label, one.teacher_class) == (None,) * 4
    parameters = list(student.parameters())
    close(
        ours.gradients_of_halves(parameters, factor=2.0, retain=True),
        theirs.gradients_of_halves(parameters, factor=2.0),
    )
    close(
        ours.gradients(parameters, factor=2.0, retain=True),
        both(student, inputs, teacher, labels)[1].gradients(parameters, factor=2.0),
    )


@pytest.mark.parametrize("family", ON_OUTPUTS)
@pytest.mark.parametrize("parts", [1, 2], ids=["whole", "accumulated"])
def test_every_rule_trains_alike_on_losses_of_samples_and_on_logits(family, parts):
    values = {"measure_every": 1} if "measure_every" in create_policy(family, {}).parameters() else {}
    (inputs, teacher, labels), found = batch(), []
    for on_outputs in (True, False):
        student = network()
        optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
        balancer = LossBalancer(
            create_policy(family, values), student, total_steps=4, temperature=TEMPERATURE, guard=None
        )
        weights = []
        for _ in range(4):
            optimizer.zero_grad()
            for at in range(parts):
                rows = slice(at * N // parts, (at + 1) * N // parts)
                logits, more = student(inputs[rows]), {"share": 1 / parts, "update": at == parts - 1}
                if on_outputs:
                    step = balancer.backward_on_outputs(logits, *losses(logits, teacher[rows], labels[rows]), **more)
                else:
                    step = balancer.backward_on_logits(logits, teacher[rows], labels[rows], **more)
            weights.append(step.decision.weight)
            optimizer.step()
        found.append((weights, [p.detach() for p in student.parameters()]))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "parameters", [{"tier": "logit"}, {"pair": "halves"}, {"tier": "last_block", "pair": "halves"}]
)
def test_geometry_at_the_outputs_and_over_halves_is_given(parameters):
    policy = {**parameters, "measure_every": 1}
    (inputs, teacher, labels), steps = batch(), []
    for on_outputs in (True, False):
        student = network()
        balancer = LossBalancer(create_policy("norm_balance", policy), student, temperature=TEMPERATURE)
        logits = student(inputs)
        if on_outputs:
            steps.append(balancer.backward_on_outputs(logits, *losses(logits, teacher, labels)))
        else:
            steps.append(balancer.backward_on_logits(logits, teacher, labels))
    assert steps[0].observation.geometry == pytest.approx(steps[1].observation.geometry, rel=1e-5)


def test_each_sample_gets_its_own_weight_where_losses_are_no_classification():
    """λ_n = 1/(1 + r_n) of squared errors: r_n is the ratio of the distances to teacher and label."""
    student, inputs = nn.Linear(3, 2).double(), torch.randn(N, 3).double()
    labels, teacher = torch.randn(N, 2).double(), torch.randn(N, 2).double()
    outputs = student(inputs)
    balancer = LossBalancer(create_policy("sample_norm_balance", {"balance": 1.0}), student, guard=None)
    step = balancer.backward_on_outputs(
        outputs, (outputs - labels).square().sum(1), (outputs - teacher).square().sum(1)
    )
    far, near = (outputs - teacher).norm(dim=1), (outputs - labels).norm(dim=1)
    expected = (near / (near + far)).detach()
    torch.testing.assert_close(step.weights, expected)
    again = student(inputs)
    mixed = expected * (again - teacher).square().sum(1) + (1 - expected) * (again - labels).square().sum(1)
    torch.testing.assert_close(student.weight.grad, torch.autograd.grad(mixed.mean(), student.weight)[0])


def test_nested_outputs_count_together():
    logits, hints = torch.randn(N, C, requires_grad=True), torch.randn(N, 2, 3, requires_grad=True)
    task = logits.square().sum(1)
    distill = (logits - 1.0).square().sum(1) + hints.square().sum((1, 2))
    nested = OutputPair({"logits": logits, "hints": (hints, torch.zeros(3))}, task, distill)
    flat = torch.cat([2.0 * (logits - 1.0), 2.0 * hints.flatten(1)], 1).detach()
    torch.testing.assert_close(nested.distill_gradients, flat)
    torch.testing.assert_close(nested.task_gradients, torch.cat([2.0 * logits, torch.zeros(N, 6)], 1).detach())


def test_a_batch_without_samples_changes_nothing():
    student = network()
    outputs = student(torch.zeros(0, 6).double())
    balancer = LossBalancer(create_policy("sample_norm_balance", {}), student)
    step = balancer.backward_on_outputs(outputs, outputs.sum(1), outputs.square().sum(1))
    assert step.intervention == "the batch has no sample: step skipped"
    assert all(parameter.grad is None for parameter in student.parameters())


def test_readings_in_half_precision_are_finite():
    outputs = (300.0 * torch.randn(N, C)).half().requires_grad_()
    pair = OutputPair(outputs, outputs.square().sum(1), (outputs * 40.0).sum(1))
    samples = pair.samples(0, 0.0)
    assert samples.cosine.dtype is torch.float32
    assert all(values.isfinite().all() for values in (samples.cosine, samples.norm_ratio, samples.loss_ratio))


OUT = torch.ones(N, C, requires_grad=True)


@pytest.mark.parametrize(
    ("outputs", "task", "distill", "message"),
    [
        (OUT, OUT.sum(), OUT.sum(1), r"`task_losses` must be one value a sample.*\[\]"),
        (OUT, OUT.sum(1), OUT, r"`distill_losses` must be one value a sample.*\[8, 5\]"),
        (OUT, OUT.sum(1), OUT[:4].sum(1), "of the same samples"),
        (OUT, 3.0, OUT.sum(1), "`task_losses` must be a tensor .* float"),
        (OUT, OUT.sum(1), OUT.sum(1).detach(), "`distill_loss` has no graph"),
        (OUT.detach(), OUT.sum(1), OUT.sum(1), "`outputs` must be what the student returned"),
        ("logits", OUT.sum(1), OUT.sum(1), "`outputs` must be what the student returned.*str"),
        (OUT[:3], OUT.sum(1), OUT.sum(1), "one row for each of the 8 losses"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(outputs, task, distill, message):
    with pytest.raises(PolicyError, match=message):
        OutputPair(outputs, task, distill)


def test_outputs_that_a_loss_does_not_depend_on_are_refused():
    student, (inputs, teacher, labels) = network(), batch()
    logits = student(inputs)
    balancer = LossBalancer(create_policy("sample_norm_balance", {}), student)
    with pytest.raises(PolicyError, match="`distill_losses` do not depend on `outputs`"):
        balancer.backward_on_outputs(student(inputs), *losses(logits, teacher, labels))


@pytest.mark.parametrize("family", [name for name in list(FAMILIES) if name not in ON_OUTPUTS])
def test_a_rule_on_the_teachers_answers_is_refused(family):
    student, (inputs, teacher, labels) = network(), batch()
    logits = student(inputs)
    balancer = LossBalancer(create_policy(family, {}), student, total_steps=4)
    assert balancer.policy.needs & ON_LOGITS
    with pytest.raises(PolicyError, match=f"{family}.*looks at logits and labels.*backward_on_logits"):
        balancer.backward_on_outputs(logits, *losses(logits, teacher, labels))


def test_samples_are_shown_where_each_has_a_loss_and_a_row():
    assert shows_samples({"a": OUT, "b": torch.ones(3)}, OUT.sum(1), OUT.sum(1))
    assert not shows_samples(OUT, OUT.sum(), OUT.sum(1))
    assert not shows_samples((OUT, OUT.sum()), OUT.sum(1), OUT.sum(1))
    assert not shows_samples(OUT.detach(), OUT.sum(1), OUT.sum(1))
