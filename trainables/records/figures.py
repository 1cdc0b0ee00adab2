"""Figures that are measured of a network, as plain data. Imports no torch.

`trainables.evaluation` measures how good a network is, `trainables.models.cost` what it costs.
"""

from __future__ import annotations

import pydantic

from trainables.settings import Settings


class SetScore(Settings):
    """The scores of a student, or of the teacher, on one set of pictures."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    accuracy: float | None
    """Share of samples that are classified correctly, in [0, 1]; None if the task is no classification."""
    loss: float | None
    """Cross entropy in nats a sample; of a task with losses of its own, its loss on the labels. None if a training
    function does not report one."""
    calibration_error: float | None
    """Expected calibration error over 15 bins of equal width (arXiv 1706.04599), in [0, 1]; None if
    the task is no classification."""
    agreement: float | None
    """Share of pictures on which student and teacher name the same class; None for the teacher itself, and if the
    task is no classification."""
    more: dict[str, float] = pydantic.Field(default_factory=dict)
    """Further figures by name, as `trainables.evaluation.MORE` lists them; empty in older records."""


class ModelFigures(Settings):
    """The costs of a network where it will run."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    parameters: int
    flops: int
    """FLOPs of a picture's forward pass: matrix products, convolutions and attention; a multiply-add counts as two."""
    file_bytes: int
    """The size of its saved `state_dict`."""
    latency: dict[str, dict[str, float]]
    """Latency by device: `p50_ms` and `p95_ms` of `runs` calls with one picture each, and `pictures_per_second` in
    batches of `batch`. `batch` is 64, and less for networks that would take too long.

    Devices are `cpu` (one thread, as in a trial), `cpu_threads` (as many as PyTorch uses in that process; absent where
    that is one), `cuda` (absent where there is none) and `onnx` (onnxruntime on one thread; absent where it is not
    installed, or the network has no ONNX form).
    """
    device_names: dict[str, str]
    """The names of the same devices, those of CPUs with their threads."""
    onnx_bytes: int | None = None
    """The size of its ONNX file; None where there is none, and in older records."""
