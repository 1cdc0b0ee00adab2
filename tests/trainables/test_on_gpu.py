"""Trials on a GPU: the same training as on a CPU, up to rounding."""

import math

import pytest
import torch
from torch import nn

from policies import FAMILIES, LossBalancer, create_policy, distillation_loss
from trainables.config.trial import DeviceSettings, ModelSettings, PolicySettings
from trainables.device import select_compute
from trainables.training.data import DeviceAssets
from trainables.training.loop import Distillation

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

CNN = ModelSettings(name="cnn", options={"widths": [8, 16]})


def data_on(assets, device, precision="float32"):
    return DeviceAssets(assets, select_compute(DeviceSettings(device=device, precision=precision)))


def trained(settings, data):
    trial = Distillation(settings, data)
    list(trial.records())
    return trial


@pytest.fixture(autouse=True)
def exact_matrix_work():
    """Switch TensorFloat-32 off, which rounds more coarsely than the comparisons here allow."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_family_decides_on_a_gpu_as_on_a_cpu(family, settings, assets):
    changed = settings.model_copy(
        update={
            "student": CNN,
            "policy": PolicySettings(family=family),
            "training": settings.training.model_copy(update={"epochs": 2}),
            "seeds": (3,),
        }
    )
    on_cpu, on_gpu = (trained(changed, data_on(assets, device)).history() for device in ("cpu", "cuda"))
    # Rounding may carry a rule across a threshold after some steps, so only the first two are compared.
    for cpu, gpu in list(zip(on_cpu.trace, on_gpu.trace, strict=True))[:2]:
        assert gpu.weight == pytest.approx(cpu.weight, abs=2e-3)
        assert gpu.cosine == pytest.approx(cpu.cosine, abs=2e-3, nan_ok=True)
        assert gpu.task_loss == pytest.approx(cpu.task_loss, rel=1e-2)
    assert math.isfinite(on_gpu.score)


def test_it_learns_in_bfloat16(settings, assets):
    training = settings.training.model_copy(update={"epochs": 40})
    changed = settings.model_copy(update={"training": training})
    history = trained(changed, data_on(assets, "cuda", "bfloat16")).history()
    assert "bfloat16" in history.device
    assert history.score > 0.7


def test_an_interrupted_trial_goes_on(settings, assets):
    data = data_on(assets, "cuda")
    whole = trained(settings, data).history()
    interrupted = Distillation(settings, data)
    next(interrupted.records())
    resumed = Distillation(settings, data)
    resumed.load_state_dict(interrupted.state_dict())
    list(resumed.records())
    assert resumed.done
    assert resumed.history().score == pytest.approx(whole.score, abs=0.03)
    assert len(resumed.decisions) > 0


@pytest.mark.parametrize("family", ["fixed", "norm_balance", "upgrad", "sample_norm_balance"])
def test_the_loss_scaler_of_half_precision_goes_with_every_kind_of_rule(family):
    torch.manual_seed(0)
    student = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 5)).cuda()
    scaler = torch.amp.GradScaler("cuda", init_scale=2.0**30)  # too high: the first steps must be skipped
    balancer = LossBalancer(create_policy(family), student, grad_scaler=scaler)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
    inputs = torch.randn(64, 20, device="cuda")
    labels = inputs[:, :5].argmax(dim=1)
    teacher = 3 * inputs[:, :5]
    losses = []
    for _ in range(60):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=torch.float16):
            logits = student(inputs)
        balancer.backward_on_logits(logits, teacher, labels)
        scaler.step(optimizer)
        scaler.update()
        losses.append(distillation_loss(student(inputs), teacher, 4.0).item())
    assert scaler.get_scale() < 2.0**30
    assert losses[-1] < 0.7 * losses[0]


def test_a_compiled_student_is_trained_like_a_plain_one():
    def run(compiled):
        torch.manual_seed(0)
        student = nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 5)).cuda()
        called = torch.compile(student) if compiled else student
        balancer = LossBalancer(create_policy("norm_balance"), called)
        optimizer = torch.optim.SGD(student.parameters(), lr=0.1)
        inputs = torch.randn(64, 20, device="cuda", generator=torch.Generator("cuda").manual_seed(1))
        for _ in range(5):
            optimizer.zero_grad(set_to_none=True)
            balancer.backward_on_logits(called(inputs), inputs[:, :5], inputs[:, :5].argmax(dim=1))
            optimizer.step()
        return [p.detach().cpu() for p in student.parameters()]

    for plain, compiled in zip(run(False), run(True), strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-3, atol=1e-4)
