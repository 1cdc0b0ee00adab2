"""Describes one call of a user's function: plain data, which reaches any process."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import torch

from trainables.config import OwnPolicy, PolicySettings


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session:
    """The settings of one training under one seed."""

    seed: int
    policy: PolicySettings
    learning_rate: float
    temperature: float
    options: dict[str, Any]
    epochs: int
    objective: str
    confirming: bool
    own_policies: tuple[OwnPolicy, ...] = ()
    """The user's own rules, which `policy` may be one of."""
    device: torch.device
    threads: int = 1
    """PyTorch's threads."""
    folder: pathlib.Path
    """The folder in which the search was started; it may not exist on this machine."""
    scratch: pathlib.Path
    """An empty folder of this training."""
    points: int = 50
    """The number of steps at which the geometry is recorded."""
    kept: int = 20_000
    """The most entries of the decision log."""
    save_seconds: float = 0.0
    """The least time between two snapshots."""
    snapshot: pathlib.Path | None = None
    """The snapshot to continue from."""
    most_steps: int | None = None
    """The function is stopped after so many steps; None for no limit, as below."""
    most_seconds: float | None = None
    """The function is stopped so long after its first step."""
    rank: int = 0
    """The number of this process among those of the training."""
    printing: bool = False
    """True if reports are printed, since no search shows them."""

    @property
    def limited(self) -> bool:
        """True if the function is stopped in the middle."""
        return self.most_steps is not None or self.most_seconds is not None

    def told(self, values: dict[str, float]) -> None:
        """Print a report, if reports are printed."""
        if self.printing and self.rank == 0:
            print(", ".join(f"{name} {value:.4g}" for name, value in values.items()), flush=True)  # noqa: T201
