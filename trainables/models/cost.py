"""Measures what a network costs: parameters, FLOPs, the file's size, and how long it takes to answer.

K: channels; H, W: height and width in pixels.
"""

from __future__ import annotations

import contextlib
import copy
import io
import pathlib
import platform
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from trainables.records import ModelFigures

Example = Callable[[int, torch.device], Any]
"""A function that returns the inputs of a batch of so many samples on a device."""

_BATCH = 64
_FEWEST_RUNS = 3
_MOST_RUNS = 2000


def measure_figures(
    model: nn.Module, like: tuple[int, int, int] | Example, *, cuda: bool = True, seconds: float = 0.5
) -> ModelFigures:
    """Measure everything that a network costs. Call this when nothing else runs on the machine.

    Latency is the time that a caller waits for the outputs of inputs that are on the device already. It is the median
    (and the 95th percentile) of single calls in inference mode and channels-last layout, after a warm-up.

    Args:
        model: maps inputs to outputs; a copy is measured, and the model does not change.
        like: what the model reads: the shape (K, H, W) of normalised float32 pictures, or a function that gives inputs.
        cuda: whether to measure a GPU, too, if PyTorch sees one.
        seconds: time for each of the two to six series of calls. A network so slow that 64 samples would take more
            than four times as long is timed in smaller batches.
    """
    example = pictures_like(like) if isinstance(like, tuple) else like
    network = copy.deepcopy(model).cpu().eval().requires_grad_(False)
    network = network.to(memory_format=torch.channels_last)
    latency, names = {}, {}
    usual = torch.get_num_threads()
    for device, threads in {"cpu": 1, "cpu_threads": usual}.items():
        if device == "cpu" or threads > 1:
            with _threads(threads):
                latency[device] = _latency(network, example, torch.device("cpu"), seconds)
            names[device] = f"{cpu_name()}, {threads} thread{'' if threads == 1 else 's'}"
    flops, file_bytes = count_flops(network, like), _file_bytes(network)
    if cuda and torch.cuda.is_available():
        latency["cuda"] = _latency(network.cuda(), example, torch.device("cuda"), seconds)
        names["cuda"] = torch.cuda.get_device_name()
    return ModelFigures(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        flops=flops,
        file_bytes=file_bytes,
        latency=latency,
        device_names=names,
    )


def count_flops(model: nn.Module, like: tuple[int, int, int] | Example) -> int:
    """Count the FLOPs of one sample through a model in evaluation mode on the CPU; a multiply-add counts as two.

    Matrix products, convolutions and attention are counted; element-wise operations are not.
    """
    sample = torch.zeros(1, *like) if isinstance(like, tuple) else like(1, torch.device("cpu"))
    # PyTorch's counter does not count inside its fused attention kernels, so they are switched off.
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(sample)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
    return int(counter.get_total_flops())


def _file_bytes(model: nn.Module) -> int:
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    return file.getbuffer().nbytes


def _latency(model: nn.Module, example: Example, device: torch.device, seconds: float) -> dict[str, float]:
    def caller(count: int) -> Callable[[], object]:
        inputs = example(count, device)

        def call() -> None:
            model(inputs)
            if device.type == "cuda":
                torch.cuda.synchronize()  # a call only puts work in the GPU's queue; the caller waits for its end

        return call

    with torch.inference_mode():
        return latency_of(caller, seconds)


def latency_of(caller: Callable[[int], Callable[[], object]], seconds: float = 0.5) -> dict[str, float]:
    """Time the calls of a network, as `ModelFigures.latency` holds them for one device.

    Args:
        caller: returns, for a number of samples, a function that computes the outputs of so many.
        seconds: as for `measure_figures`.
    """
    single = _time(caller(1), seconds)
    middle, slow = np.percentile(single, [50, 95]).tolist()
    batch = _BATCH
    while batch > 1 and batch * middle > 4 * seconds:
        batch //= 2
    batched = _time(caller(batch), seconds)
    return {
        "p50_ms": 1e3 * middle,
        "p95_ms": 1e3 * slow,
        "runs": len(single),
        "pictures_per_second": batch / float(np.median(batched)),
        "batch": batch,
    }


def pictures_like(image_shape: tuple[int, int, int]) -> Example:
    """Return a function that gives normalised pictures of a shape (K, H, W), as noise."""

    def pictures(count: int, device: torch.device) -> Any:
        return torch.randn(count, *image_shape, generator=torch.Generator().manual_seed(0)).to(
            device, memory_format=torch.channels_last
        )

    return pictures


def _time(work: Callable[[], object], seconds: float) -> list[float]:
    """Time single calls, in seconds: a tenth of the time (at least one call) is warm-up, the rest is measured."""

    def call() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    end = time.perf_counter() + 0.1 * seconds
    call()
    while time.perf_counter() < end:
        call()
    end = time.perf_counter() + 0.9 * seconds
    times: list[float] = []
    while len(times) < _FEWEST_RUNS or (len(times) < _MOST_RUNS and time.perf_counter() < end):
        times.append(call())
    return times


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cpu_name() -> str:
    """Return the processor's name as Linux gives it; elsewhere its architecture."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", pathlib.Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1].strip() if found else platform.processor() or platform.machine()
