import pytest
import torch
from torch import nn

from trainables.config.trial import ModelSettings
from trainables.models import cost as kpi
from trainables.models import create_model
from trainables.models.cost import count_flops, measure_figures


def model(name="mlp", shape=(1, 8, 8), **options):
    return create_model(ModelSettings(name=name, options=options), image_shape=shape, classes=10)


def test_flops_of_a_perceptron_are_two_for_each_weight():
    network = model(hidden=[32])
    assert count_flops(network.eval(), (1, 8, 8)) == 2 * (64 * 32 + 32 * 10)


def test_flops_of_a_convolution_are_two_for_each_multiply_add():
    network = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1), nn.Flatten(), nn.Linear(5 * 8 * 8, 2))
    assert count_flops(network, (3, 8, 8)) == 2 * (8 * 8 * 5 * 3 * 9) + 2 * (5 * 8 * 8 * 2)


@pytest.mark.parametrize("trainable", [True, False])
def test_flops_of_attention_are_counted_although_its_kernels_are_fused(trainable):
    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(16, 2, batch_first=True)

        def forward(self, images):
            tokens = images.flatten(2)
            return self.inner(tokens, tokens, tokens, need_weights=False)[0]

    network = Attention().eval().requires_grad_(trainable)
    before = torch.backends.mha.get_fastpath_enabled()
    tokens, width = 6, 16
    assert count_flops(network, (tokens, 4, 4)) == 2 * 4 * tokens * width**2 + 2 * 2 * tokens**2 * width
    assert torch.backends.mha.get_fastpath_enabled() is before


def test_figures_of_a_student():
    torch.set_num_threads(1)
    network = model("cnn", (1, 8, 8), widths=[4, 8])
    network.train()
    figures = measure_figures(network, (1, 8, 8), seconds=0.02, cuda=False)
    assert network.training  # since a copy was measured
    assert figures.parameters == sum(p.numel() for p in network.parameters())
    assert figures.file_bytes > 4 * figures.parameters
    assert set(figures.latency) == set(figures.device_names) == {"cpu"}
    assert figures.device_names["cpu"].endswith(", 1 thread")
    latency = figures.latency["cpu"]
    assert 0 < latency["p50_ms"] <= latency["p95_ms"]
    assert latency["pictures_per_second"] > 0
    assert latency["batch"] == 64
    assert latency["runs"] >= 3


def test_the_usual_number_of_threads_is_measured_too_and_given_back():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        figures = measure_figures(model(), (1, 8, 8), seconds=0.01, cuda=False)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(figures.latency) == {"cpu", "cpu_threads"}
    assert figures.device_names["cpu_threads"].endswith(", 2 threads")


def test_a_slow_network_is_timed_in_smaller_batches(monkeypatch):
    """The clock advances by a second for each picture."""
    now = 0.0

    class Slow(nn.Module):
        def forward(self, images):
            nonlocal now
            now += len(images)
            return images.flatten(1)[:, :2]

    monkeypatch.setattr(kpi.time, "perf_counter", lambda: now)
    torch.set_num_threads(1)
    latency = measure_figures(Slow(), (1, 2, 2), seconds=2.0, cuda=False).latency["cpu"]
    assert latency == {"p50_ms": 1e3, "p95_ms": 1e3, "runs": 3, "pictures_per_second": 1.0, "batch": 8}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_measured_where_there_is_one():
    figures = measure_figures(model(), (1, 8, 8), seconds=0.05)
    assert figures.latency["cuda"]["p50_ms"] > 0
    assert figures.device_names["cuda"] == torch.cuda.get_device_name()
