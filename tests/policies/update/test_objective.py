"""Losses, gradients and readings on logits against autograd through PyTorch's own losses, in double precision."""

import math

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy

from policies import PolicyError, distillation_loss
from policies.update.logits import LogitPair
from policies.update.objective import LossPair

N, C = 7, 5
TEMPERATURE = 3.0


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def exact_distillation(logits, teacher):
    """Return `distillation_loss`'s definition in the logits' own precision; the function uses float32 at most."""
    p = torch.softmax(teacher / TEMPERATURE, 1)
    log_ratio = torch.log_softmax(teacher / TEMPERATURE, 1) - torch.log_softmax(logits / TEMPERATURE, 1)
    return TEMPERATURE**2 * (p * log_ratio).sum(1)


def logits_and_teacher(scale=3.0):
    return (scale * torch.randn(N, C)).double().requires_grad_(), (scale * torch.randn(N, C)).double()


def hard():
    return torch.randint(C, (N,))


def soft():
    return torch.softmax(torch.randn(N, C).double(), 1)


def pair(logits, teacher, labels, smoothing=0.0):
    return LogitPair(logits, teacher, labels, temperature=TEMPERATURE, label_smoothing=smoothing)


@pytest.fixture(params=[(hard, 0.0), (hard, 0.1), (soft, 0.0), (soft, 0.1)], ids=["hard", "smoothed", "soft", "both"])
def case(request):
    """Return (student's logits, teacher's, labels, smoothing)."""
    make, smoothing = request.param
    return *logits_and_teacher(), make(), smoothing


def test_losses_are_pytorchs(case):
    logits, teacher, labels, smoothing = case
    objective = pair(*case)
    expected = cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    torch.testing.assert_close(objective.task_losses, expected.detach())
    torch.testing.assert_close(objective.task_loss, expected.mean().detach())
    torch.testing.assert_close(objective.distill_losses, exact_distillation(logits, teacher).detach())
    torch.testing.assert_close(
        objective.distill_loss.float(), distillation_loss(logits, teacher, TEMPERATURE).detach().float()
    )


def test_gradients_in_the_logits_are_autograds(case):
    logits, teacher, labels, smoothing = case
    objective = pair(*case)
    task = cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(objective.task_gradients, torch.autograd.grad(task, logits)[0])
    distill = exact_distillation(logits, teacher).sum()
    torch.testing.assert_close(objective.distill_gradients, torch.autograd.grad(distill, logits)[0])


def test_geometry_at_the_logits_is_autograds(case):
    logits, teacher, labels, smoothing = case
    (t,) = torch.autograd.grad(cross_entropy(logits, labels, label_smoothing=smoothing), logits)
    (d,) = torch.autograd.grad(exact_distillation(logits, teacher).mean(), logits)
    expected = torch.stack([(d * d).sum(), (t * t).sum(), (d * t).sum()])
    torch.testing.assert_close(pair(*case).output_geometry(), expected)


@pytest.mark.parametrize("weights", [(0.3, 0.7), (0.0, 1.0), (1.0, 0.0), (2.5, 0.5)])
@pytest.mark.parametrize("factor", [1.0, 8.0, torch.tensor(8.0)], ids=["1", "8", "tensor"])
def test_one_backward_is_that_of_the_weighted_sum(case, weights, factor):
    logits, teacher, labels, smoothing = case
    pair(*case).backward(*weights, factor=factor)
    distill = exact_distillation(logits, teacher).mean()
    task = cross_entropy(logits, labels, label_smoothing=smoothing)
    loss = float(factor) * (weights[0] * distill + weights[1] * task)
    torch.testing.assert_close(logits.grad, torch.autograd.grad(loss, logits)[0])


def test_weighted_samples_are_the_mean_of_weighted_losses(case):
    logits, teacher, labels, smoothing = case
    weights = torch.rand(N)
    pair(*case).backward_weighted(weights, factor=2.0)
    task = cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    loss = 2.0 * (weights * exact_distillation(logits, teacher) + (1 - weights) * task).mean()
    # The weights are float32, as a rule returns them, so the sums differ only in the order of rounding.
    torch.testing.assert_close(logits.grad, torch.autograd.grad(loss, logits)[0])


def test_a_backward_can_follow_any_reading(case):
    """Readings are cached, so later calls must not change them in place."""
    logits = case[0]
    pair(*case).backward(0.3, 0.7)
    expected, logits.grad = logits.grad, None
    objective = pair(*case)
    before = objective.output_geometry(), objective.samples(0, 0.0)
    objective.gradients([logits], factor=2.0, retain=True)
    objective.gradients_of_halves([logits], factor=2.0, retain=True)
    objective.backward(0.3, 0.7)
    torch.testing.assert_close(logits.grad, expected)
    torch.testing.assert_close((objective.output_geometry(), objective.samples(0, 0.0)), before)


def test_sample_readings_are_those_of_each_sample_alone(case):
    logits, teacher, labels, smoothing = case
    samples = pair(*case).samples(4, 0.5)
    assert (samples.step, samples.progress) == (4, 0.5)
    q = torch.softmax(teacher, 1)
    for n in range(N):
        one = slice(n, n + 1)
        task = cross_entropy(logits[one], labels[one], label_smoothing=smoothing)
        distill = exact_distillation(logits[one], teacher[one]).sum()
        t, d = (torch.autograd.grad(loss, logits)[0].flatten() for loss in (task, distill))
        assert samples.cosine[n].item() == pytest.approx(cosine_similarity(d, t, dim=0).item())
        assert samples.norm_ratio[n].item() == pytest.approx((d.norm() / t.norm()).item())
        assert samples.loss_ratio[n].item() == pytest.approx((task / distill).item())
        assert samples.confidence[n].item() == pytest.approx(float(q[n].max()))
        agreement = q[n, labels[n]] if labels.ndim == 1 else (q[n] * labels[n]).sum()
        assert samples.agreement[n].item() == pytest.approx(float(agreement))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30])
def test_sample_readings_are_finite_and_bounded_whatever_the_logits_hold(value):
    logits, teacher = torch.randn(3, 4), torch.randn(3, 4)
    logits[0, 1], teacher[1, 2] = value, value
    teacher[2] = logits[2]  # nothing to distil
    samples = pair(logits.requires_grad_(), teacher, torch.tensor([1, 2, 3])).samples(0, 0.0)
    assert all(bool(reading.isfinite().all()) for reading in samples[2:] if reading is not None)
    assert samples.cosine.abs().max() <= 1.0
    for ratio in (samples.norm_ratio, samples.loss_ratio):
        assert ratio.min() >= 1e-12 * (1 - 1e-6)
        assert ratio.max() <= 1e12 * (1 + 1e-6)


def test_a_sample_whose_both_losses_are_at_their_least_has_ratio_one_and_cosine_zero():
    labels = torch.tensor([[1.0, 0.0]])
    logits = torch.tensor([[200.0, -200.0]])
    samples = pair(logits.clone().requires_grad_(), logits, labels).samples(0, 0.0)
    assert samples.norm_ratio.item() == 1.0
    assert samples.cosine.item() == 0.0


@pytest.mark.parametrize("weights", [(0.0, 1.0), (1.0, 0.0)])
def test_a_broken_source_without_weight_spoils_nothing(weights):
    logits, teacher = logits_and_teacher()
    labels = soft()
    (teacher if weights[0] == 0.0 else labels)[2, 1] = math.nan
    pair(logits, teacher, labels).backward(*weights)
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_logits_in_half_precision_are_widened_and_their_gradients_are_not(dtype):
    logits, teacher = (10 * torch.randn(N, C)).to(dtype).requires_grad_(), torch.randn(N, C).to(dtype)
    labels = hard()
    objective = pair(logits, teacher, labels)
    wide = pair(logits.detach().float().requires_grad_(), teacher.float(), labels)
    torch.testing.assert_close(objective.task_loss, wide.task_loss)
    torch.testing.assert_close(objective.distill_loss, wide.distill_loss)
    torch.testing.assert_close(objective.output_geometry(), wide.output_geometry())
    assert objective.samples(0, 0.0).norm_ratio.dtype == torch.float32
    objective.backward(0.5, 0.5)
    assert logits.grad.dtype == dtype
    expected = (0.5 * wide.distill_gradients + 0.5 * wide.task_gradients) / N
    torch.testing.assert_close(logits.grad, expected.to(dtype))


def test_integer_labels_of_any_width_are_taken():
    logits, teacher = logits_and_teacher()
    labels = hard()
    narrow = pair(logits, teacher, labels.to(torch.uint8))
    assert narrow.task_loss == pair(logits, teacher, labels).task_loss


@pytest.mark.parametrize(
    ("student", "teacher", "labels", "message"),
    [
        ((2, 3, 4), (2, 3, 4), (2, 3), r"\[samples, classes\].*flatten"),
        ((2, 3), (2, 4), (2,), r"\[2, 3\] and \[2, 4\]"),
        (
            (2, 1),
            (2, 1),
            (2, 1),
            r"2 classes or more, but got \[2, 1\].*`balancer\.backward\(task_loss, distill_loss\)`",
        ),
        ((2,), (2,), (2,), r"2 classes or more, but got \[2\].*`balancer\.backward\(task_loss, distill_loss\)`"),
        ((2, 3), (2, 3), (3,), r"`labels` must be .* \[2, 3\], but got \[3\]"),
        ((2, 3), (2, 3), (2, 1), r"but got \[2, 1\]"),
    ],
)
def test_shapes_that_do_not_fit_are_told(student, teacher, labels, message):
    with pytest.raises(PolicyError, match=message):
        pair(torch.zeros(student), torch.zeros(teacher), torch.zeros(labels, dtype=torch.int64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool])
def test_class_numbers_that_are_no_whole_numbers_are_told(dtype):
    with pytest.raises(PolicyError, match=r"whole numbers, but got torch\.\w+.*real-valued.*`balancer\.backward\("):
        pair(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(2, dtype=dtype))


def network():
    torch.manual_seed(3)
    return torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Tanh(), torch.nn.Linear(6, C)).double()


def assert_no_grad(parameters):
    assert all(p.grad is None for p in parameters)


def test_gradients_of_the_parameters_are_autograds_and_touch_no_grad(case):
    _, teacher, labels, smoothing = case
    student, x = network(), torch.randn(N, 4).double()
    parameters = list(student.parameters())
    logits = student(x)
    distill, task = pair(logits, teacher, labels, smoothing).gradients(parameters, factor=2.0, retain=True)
    expected_task = 2.0 * cross_entropy(logits, labels, label_smoothing=smoothing)
    torch.testing.assert_close(task, torch.autograd.grad(expected_task, parameters, retain_graph=True))
    expected_distill = 2.0 * exact_distillation(logits, teacher).mean()
    torch.testing.assert_close(distill, torch.autograd.grad(expected_distill, parameters))
    assert_no_grad(parameters)


def test_the_graph_is_kept_only_if_asked():
    student, x, teacher, labels = network(), torch.randn(N, 4).double(), torch.randn(N, C).double(), hard()
    parameters = list(student.parameters())
    objective = pair(student(x), teacher, labels)
    objective.gradients(parameters, retain=True)
    objective.gradients_of_halves(parameters)
    with pytest.raises(RuntimeError, match="second time"):
        objective.backward(0.5, 0.5)


def test_halves_of_a_single_sample_are_refused():
    logits, teacher = torch.randn(1, C, requires_grad=True), torch.randn(1, C)
    with pytest.raises(PolicyError, match="at least 2 samples"):
        pair(logits, teacher, torch.tensor([0])).gradients_of_halves([logits])


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, math.nan])
def test_a_smoothing_that_is_no_share_is_refused(smoothing):
    with pytest.raises(PolicyError, match=r"`label_smoothing` must be a share in \[0, 1\]"):
        pair(*logits_and_teacher(), hard(), smoothing)


@pytest.mark.parametrize("both", [False, True], ids=["teacher", "both"])
def test_a_class_that_the_teacher_leaves_out_adds_nothing(both):
    """-∞ leaves a class out; PyTorch's `kl_div` on logarithms would give NaN."""
    student, teacher = logits_and_teacher()
    left_out = teacher.clone()
    left_out[:, 2] = -math.inf
    said = student.masked_fill(torch.arange(C) == 2, -math.inf) if both else student
    q, log_p = torch.softmax(left_out / TEMPERATURE, 1), torch.log_softmax(said / TEMPERATURE, 1)
    kept = [0, 1, 3, 4]
    expected = TEMPERATURE**2 * (q[:, kept] * (q[:, kept].log() - log_p[:, kept])).sum(1)
    objective = pair(said, left_out, torch.zeros(N, dtype=torch.long))
    torch.testing.assert_close(objective.distill_losses, expected)
    loss = distillation_loss(said, left_out, TEMPERATURE)
    torch.testing.assert_close(loss, expected.mean().float())
    (gradient,) = torch.autograd.grad(loss, student, retain_graph=True)
    (closed,) = torch.autograd.grad(said, student, objective.distill_gradients / N)
    torch.testing.assert_close(gradient, closed, rtol=1e-5, atol=1e-6)


def test_scalar_losses_may_be_anything():
    student, x = network(), torch.randn(N, 4).double()
    parameters = list(student.parameters())
    hidden = student[1](student[0](x))
    objective = LossPair(hidden.square().mean(), student[2](hidden).abs().mean())
    distill, task = objective.gradients(parameters, factor=torch.tensor(2.0), retain=True)
    expected = torch.autograd.grad(2.0 * hidden.square().mean(), parameters[:2], retain_graph=True)
    torch.testing.assert_close(task[:2], expected)
    assert task[2:] == (None, None)
    assert all(g is not None for g in distill)
    objective.backward(0.25, 0.5, factor=2.0)
    for parameter, d, t in zip(parameters, distill, task, strict=True):
        torch.testing.assert_close(parameter.grad, 0.25 * d + (0.0 if t is None else 0.5 * t))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_rows_of_labels_need_not_add_up_to_one(smoothing):
    """A row of zeros is a sample without a label; a multiple of a distribution is a sample with a weight."""
    logits, teacher = logits_and_teacher()
    labels = soft() * torch.tensor([0.0, 0.5, 1.0, 2.0, 1.0, 0.0, 3.0]).double()[:, None]
    expected = cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    objective = pair(logits, teacher, labels, smoothing)
    torch.testing.assert_close(objective.task_losses, expected.detach())
    torch.testing.assert_close(objective.task_gradients, torch.autograd.grad(expected.sum(), logits)[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_teachers_precision_is_the_students(dtype):
    logits, teacher = (t.detach().float() for t in logits_and_teacher())
    objective = pair(logits.requires_grad_(), teacher.to(dtype), hard())
    for found in (objective.task_losses, objective.distill_losses, objective.distill_gradients):
        assert found.dtype == torch.float32
    torch.testing.assert_close(
        objective.distill_losses.double(), exact_distillation(logits, teacher).detach().double(), rtol=2e-3, atol=2e-3
    )


@pytest.mark.parametrize("temperature", [20.0, 100.0, 1000.0])
def test_the_divergence_survives_a_high_temperature(temperature):
    """The divergence is T² times a sum of differences of nearly equal logarithms."""
    logits = torch.randn(200, 10)
    teacher = logits + 0.05 * torch.randn(200, 10)
    objective = LogitPair(
        logits.requires_grad_(),
        teacher,
        torch.zeros(200, dtype=torch.long),
        temperature=temperature,
        label_smoothing=0.0,
    )
    p = torch.softmax(teacher.double() / temperature, 1)
    q = torch.softmax(logits.detach().double() / temperature, 1)
    expected = temperature**2 * (p * (p / q).log()).sum(1)
    assert (objective.distill_losses > -1e-4).all()
    torch.testing.assert_close(objective.distill_losses.double(), expected, rtol=1e-5, atol=2e-4)
    torch.testing.assert_close(
        distillation_loss(logits, teacher, temperature).double(), expected.mean(), rtol=1e-2, atol=1e-6
    )
    assert objective.distill_gradients.dtype == distillation_loss(logits, teacher, temperature).dtype == torch.float32
