"""The meter's readings of two gradients, and what it writes, against algebra and autograd in double precision."""

import statistics

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from policies import distillation_loss
from policies.policy import Measurement
from policies.update.logits import LogitPair
from policies.update.meter import accumulate, add_gradients, geometry_tensor, inner_product, last_block, pair
from policies.update.objective import LossPair


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def gradient_lists():
    """Return (g_d, g_t) over four parameters: both, one, the other and none."""
    distill = (torch.randn(3, 2).double(), torch.randn(4).double(), None, None)
    task = (torch.randn(3, 2).double(), None, torch.randn(5).double(), None)
    return distill, task


def flat(gradients, shapes=((3, 2), (4,), (5,), (1,))):
    parts = [torch.zeros(s).double() if g is None else g for g, s in zip(gradients, shapes, strict=True)]
    return torch.cat([part.flatten() for part in parts])


def of_vectors(distill, task):
    return torch.stack([distill @ distill, task @ task, distill @ task]).double()


def test_geometry_is_that_of_the_two_long_vectors():
    distill, task = gradient_lists()
    expected = of_vectors(flat(distill), flat(task))
    torch.testing.assert_close(geometry_tensor(distill, task), expected)
    noise = torch.tensor(0.25).double()
    torch.testing.assert_close(
        geometry_tensor(distill, task, noise), expected - torch.tensor([0.0, 0.0, 0.25]).double()
    )


@pytest.mark.parametrize("distill", [(None, None), (torch.ones(2), None)], ids=["none", "one"])
def test_losses_without_a_common_parameter_have_the_inner_product_zero(distill):
    values = geometry_tensor(distill, (None, torch.ones(3)))
    assert values.tolist() == pytest.approx([0.0 if distill[0] is None else 2.0, 3.0, 0.0])
    assert values.dtype == torch.float64


def test_gradients_that_lie_differently_in_memory_are_multiplied_element_by_element():
    one, other = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2)
    expected = (one.double() * other.double()).sum()
    mixed = inner_product((one.contiguous(memory_format=torch.channels_last),), (other,))
    torch.testing.assert_close(mixed, expected, rtol=1e-5, atol=1e-6)
    expanded = torch.ones(()).expand(4, 3, 2, 2)
    torch.testing.assert_close(inner_product((expanded,), (other,)), other.double().sum(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened_before_it_is_multiplied(dtype):
    distill, task = torch.full((4,), 300.0, dtype=dtype), torch.full((4,), -600.0, dtype=dtype)
    expected = [4 * 300.0**2, 4 * 600.0**2, -4 * 300.0 * 600.0]
    assert geometry_tensor((distill,), (task,)).tolist() == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("weights", [(0.3, 0.7), (0.0, 1.0), (1.0, 0.0), (2.0, 0.5)])
@pytest.mark.parametrize("already", [False, True])
def test_the_weighted_sum_is_added_to_grad(weights, already):
    distill, task = gradient_lists()
    copies = [[None if g is None else g.clone() for g in gradients] for gradients in (distill, task)]
    parameters = [torch.zeros(s, dtype=torch.float64, requires_grad=True) for s in ((3, 2), (4,), (5,), (1,))]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter) if already else None
    accumulate(parameters, distill, task, *weights)
    total = flat([None if p.grad is None else p.grad for p in parameters])
    torch.testing.assert_close(total, weights[0] * flat(distill) + weights[1] * flat(task) + float(already))
    assert (parameters[3].grad is None) is not already
    for gradients, before in zip((distill, task), copies, strict=True):
        for gradient, copy in zip(gradients, before, strict=True):
            assert gradient is None or torch.equal(gradient, copy), "the gradients themselves stay as they were"


def test_sums_of_gradients_leave_their_parts_alone():
    distill, task = gradient_lists()
    first = add_gradients(None, distill)
    before = [None if g is None else g.clone() for g in distill]
    total = add_gradients(first, task)
    torch.testing.assert_close(flat(total), flat(distill) + flat(task))
    assert all(g is None or torch.equal(g, b) for g, b in zip(distill, before, strict=True))
    total[2].zero_()
    assert task[2].any()


class TwoHeads(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU())
        self.neck = nn.Linear(6, 6)
        self.head = nn.Sequential(nn.Dropout(0.0), nn.Linear(6, 3), nn.LayerNorm(3))


def names(module, parameters):
    known = {id(p): name for name, p in module.named_parameters()}
    return [known[id(p)] for p in parameters]


HEAD = ["head.1.weight", "head.1.bias", "head.2.weight", "head.2.bias"]


def test_the_last_block_is_the_last_layer_with_a_matrix_and_what_follows():
    student = TwoHeads()
    assert names(student, last_block(student)) == HEAD
    assert names(student, last_block(student, layers=2)) == ["neck.weight", "neck.bias", *HEAD]
    assert last_block(student, layers=99) == list(student.parameters())


def test_the_last_block_passes_over_what_is_frozen():
    student = TwoHeads()
    student.head.requires_grad_(False)
    assert names(student, last_block(student)) == ["neck.weight", "neck.bias"]
    student.neck.bias.requires_grad_(False)
    assert names(student, last_block(student)) == ["neck.weight"]


def test_the_last_block_of_a_reparametrised_layer_is_what_is_trained_there():
    student = nn.Sequential(nn.Linear(3, 3), nn.utils.parametrizations.weight_norm(nn.Linear(3, 2, bias=False)))
    found = names(student, last_block(student))
    assert found == ["1.parametrizations.weight.original0", "1.parametrizations.weight.original1"]


def batch(count=8):
    x, teacher = torch.randn(count, 4).double(), torch.randn(count, 3).double()
    return x, teacher, torch.randint(3, (count,))


def network(norm=False):
    layers = [nn.Linear(4, 6), nn.BatchNorm1d(6) if norm else nn.Identity(), nn.Tanh(), nn.Linear(6, 3)]
    return nn.Sequential(*layers).double()


def reference(student, x, teacher, labels, parameters):
    """Return (g_d, g_t) through autograd and PyTorch's own losses, as two long vectors."""
    logits = student(x)
    task = cross_entropy(logits, labels)
    p = torch.softmax(teacher / 2.0, 1)
    distill = 4.0 * kl_div(torch.log_softmax(logits / 2.0, 1), p, reduction="batchmean")
    found = [torch.autograd.grad(loss, parameters, retain_graph=True) for loss in (distill, task)]
    return [torch.cat([g.flatten() for g in gradients]) for gradients in found]


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("tier", ["full", "last_block"])
def test_each_tier_is_autograds(norm, tier):
    student, (x, teacher, labels) = network(norm), batch()
    parameters = last_block(student) if tier == "last_block" else list(student.parameters())
    assert len(parameters) == (2 if tier == "last_block" else len(list(student.parameters())))
    objective = LogitPair(student(x), teacher, labels, temperature=2.0)
    distill, task, noise = pair(objective, parameters, Measurement(tier))
    assert noise is None
    torch.testing.assert_close(
        geometry_tensor(distill, task), of_vectors(*reference(student, x, teacher, labels, parameters))
    )


def test_two_scalar_losses_and_their_logits_read_the_same():
    student, (x, teacher, labels) = network().float(), batch()
    x, teacher = x.float(), teacher.float()
    parameters = list(student.parameters())
    losses = LossPair(cross_entropy(student(x), labels), distillation_loss(student(x), teacher, 2.0))
    logits = LogitPair(student(x), teacher, labels, temperature=2.0)
    of_losses, of_logits = (geometry_tensor(*pair(o, parameters, Measurement())[:2]) for o in (losses, logits))
    torch.testing.assert_close(of_losses, of_logits, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("count", [2, 7, 8])
@pytest.mark.parametrize("tier", ["full", "last_block"])
def test_halves_are_two_forward_passes_and_their_mean_is_the_gradient(count, tier):
    student, (x, teacher, labels) = network(), batch(count)
    parameters = last_block(student) if tier == "last_block" else list(student.parameters())
    objective = LogitPair(student(x), teacher, labels, temperature=2.0)
    distill, task, noise = pair(objective, parameters, Measurement(tier, "halves"))
    d_all, t_all = reference(student, x, teacher, labels, parameters)
    middle = count // 2
    d_a, t_a = reference(student, x[:middle], teacher[:middle], labels[:middle], parameters)
    d_b, t_b = reference(student, x[middle:], teacher[middle:], labels[middle:], parameters)
    expected = of_vectors(d_all, t_all)
    torch.testing.assert_close(geometry_tensor(distill, task), expected)
    expected[2] = 0.5 * (d_a @ t_b + d_b @ t_a)
    torch.testing.assert_close(geometry_tensor(distill, task, noise), expected)


def test_halves_estimate_the_inner_product_without_bias_where_the_same_samples_overstate_it():
    """The teacher repeats the labels, on inputs without information: each sample pulls both losses alike."""
    count, samples, batches = 400, 4, 300
    w = torch.zeros(6, 2, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(2, (count,))
    everything = torch.randn(count, 6).double(), 2.0 * nn.functional.one_hot(labels).double(), labels
    inputs, teacher, _ = everything
    truth = float(geometry_tensor(*LogitPair(inputs @ w, teacher, labels, temperature=1.0).gradients([w]))[2])
    errors = {"same": [], "halves": []}
    for _ in range(batches):
        chosen = torch.randint(count, (samples,))
        x, teacher, labels = (part[chosen] for part in everything)
        for how, found in errors.items():
            objective = LogitPair(x @ w, teacher, labels, temperature=1.0)
            distill, task, noise = pair(objective, [w], Measurement(pair=how))
            found.append(float(geometry_tensor(distill, task, noise)[2]) - truth)
    deviations = {
        how: statistics.fmean(found) / (statistics.stdev(found) / batches**0.5) for how, found in errors.items()
    }
    assert abs(deviations["halves"]) < 3
    assert deviations["same"] > 10
