"""Selects the device and the precision in which a trial computes."""

from __future__ import annotations

import contextlib
import dataclasses
from contextlib import AbstractContextManager

import torch

from trainables.config import DeviceSettings
from trainables.errors import ConfigError


@dataclasses.dataclass(frozen=True)
class Compute:
    """A device and whether its matrix work runs in bfloat16."""

    device: torch.device
    bfloat16: bool

    @property
    def memory_format(self) -> torch.memory_format:
        """The layout of pictures and convolutions: channels last, the faster one on GPUs and on CPUs."""
        return torch.channels_last

    def autocast(self) -> AbstractContextManager[object]:
        """The context of a forward pass."""
        if not self.bfloat16:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def describe(self) -> str:
        """The device and the precision, for people."""
        name = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else "CPU"
        return f"{name}, {'bfloat16' if self.bfloat16 else 'float32'}"


def select_compute(settings: DeviceSettings, *, gpu_allowed: bool = True) -> Compute:
    """Select the device and the precision that the settings ask for.

    Args:
        settings: what is asked for.
        gpu_allowed: whether a GPU that PyTorch sees may be used; Ray shows all GPUs even to a trial without one.

    Raises:
        ConfigError: a GPU is asked for where none can be used.
    """
    available = gpu_allowed and torch.cuda.is_available()
    if settings.device == "cuda" and not available:
        raise ConfigError(
            "`device.device` is 'cuda', but this process has no GPU to use; set 'auto' or 'cpu', or give trials a"
            " share of a GPU with `resources.gpus_per_trial`."
        )
    device = torch.device("cuda" if settings.device != "cpu" and available else "cpu")
    if settings.precision == "auto":
        bfloat16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    else:
        bfloat16 = settings.precision == "bfloat16"
    return Compute(device, bfloat16)
