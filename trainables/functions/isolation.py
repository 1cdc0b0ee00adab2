"""Resets what a user's function changed in the process, so that the next training begins as the first one did."""

from __future__ import annotations

import contextlib
import os
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch

from trainables.training import random_value


class _Setting(NamedTuple):
    """One setting of the process: its name for people, and how it is read and written."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]


_OF_RAY = ("RAY_", "TUNE_")
"""Names in the environment that begin so are left alone: Ray may write its own in another thread, such as its token."""


def _read_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_OF_RAY)}


def _write_environment(values: dict[str, str]) -> None:
    for name in _read_environment().keys() - values.keys():
        del os.environ[name]
    for name, value in values.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def _deterministic() -> tuple[bool, bool]:
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _attribute(name: str, owner: Any, attribute: str) -> _Setting:
    return _Setting(name, lambda: getattr(owner, attribute), lambda value: setattr(owner, attribute, value))


_SETTINGS = (
    _Setting("the working directory", os.getcwd, os.chdir),
    _Setting("os.environ", _read_environment, _write_environment),
    _Setting("sys.path", lambda: list(sys.path), lambda value: sys.path.__setitem__(slice(None), value)),
    _Setting("torch's default dtype", torch.get_default_dtype, torch.set_default_dtype),
    _Setting("torch's default device", torch.get_default_device, lambda _: torch.set_default_device(None)),
    _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
    _Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
    _Setting("torch's anomaly mode", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
    _Setting(
        "torch's deterministic mode",
        _deterministic,
        lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
    ),
    _Setting("torch's matmul precision", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    _attribute("cuDNN's benchmark mode", torch.backends.cudnn, "benchmark"),
    _attribute("cuDNN's deterministic mode", torch.backends.cudnn, "deterministic"),
)


@contextlib.contextmanager
def isolated(changed: list[str]) -> Iterator[None]:
    """Reset the process's settings at the end of the block.

    Args:
        changed: filled with the names of the settings that the block left changed.
    """
    before = [setting.read() for setting in _SETTINGS]
    try:
        yield
    finally:
        for setting, value in zip(_SETTINGS, before, strict=True):
            now = setting.read()
            if now != value:
                setting.write(value)
                changed.append(setting.name + _which(value, now))
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
            changed.append("torch.distributed's process group")


def _which(before: object, now: object) -> str:
    """Return the names of the entries that differ, if both are dicts."""
    if not (isinstance(before, dict) and isinstance(now, dict)):
        return ""
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return f" ({', '.join(names)})"


def seed_all(seed: int, stream: int) -> None:
    """Seed the global generators of Python, NumPy and PyTorch by (seed, stream)."""
    value = random_value(seed, stream)
    random.seed(value)
    np.random.seed(value % 2**32)
    torch.manual_seed(value)
