"""What is measured of a network, as plain data. Imports no torch.

Made by `trainables.evaluation` (how good it is) and `trainables.models.cost` (what it costs).
"""

from __future__ import annotations

import pydantic

from trainables.settings import Settings


class SetScore(Settings):
    """A student, or the teacher, on one set of pictures."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    accuracy: float
    """In [0, 1]."""
    loss: float
    """Cross entropy in nats a picture."""
    calibration_error: float
    """Expected calibration error over 15 bins of equal width (arXiv 1706.04599), in [0, 1]."""
    agreement: float | None
    """Share of pictures on which student and teacher name the same class; None for the teacher itself."""


class ModelFigures(Settings):
    """What a network costs where it will run."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    parameters: int
    flops: int
    """Of one forward pass of one picture; a multiply-add counts as two. Matrix products, convolutions and attention."""
    file_bytes: int
    """Of its saved `state_dict`."""
    latency: dict[str, dict[str, float]]
    """By device: `p50_ms` and `p95_ms` of `runs` calls with one picture each, and `pictures_per_second` in batches of
    `batch`, which is 64 but for networks that would take too long.

    Devices are `cpu` (one thread, as in a trial), `cpu_threads` (as many as PyTorch uses in that process; absent where
    that is one) and `cuda` (absent where there is none).
    """
    device_names: dict[str, str]
    """Of the same devices, with their threads."""
