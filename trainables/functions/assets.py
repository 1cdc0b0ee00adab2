"""Names what every trial of a search of a training function shares: the function, and where the search was started."""

from __future__ import annotations

import dataclasses
import pathlib
from typing import ClassVar

import torch

from policies.policy import Given
from trainables.config import OwnFunction
from trainables.device import Compute


@dataclasses.dataclass(frozen=True, kw_only=True)
class FunctionAssets:
    """A function of the user's own, which brings its data and its teacher."""

    function: OwnFunction
    folder: str
    """The folder in which the search was started."""
    given: Given = "logits"
    """The form of what the function gives its balancer."""
    teacher_accuracy: ClassVar[float | None] = None
    """The accuracy of the teacher, which only the function knows."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class FunctionPlace:
    """A function beside the device on which it trains."""

    assets: FunctionAssets
    compute: Compute
    save_seconds: float = 0.0
    """The least time between two snapshots of a training."""

    @property
    def device(self) -> torch.device:
        """The device."""
        return self.compute.device

    @property
    def folder(self) -> pathlib.Path:
        """The folder in which the search was started; it may not exist on this machine."""
        return pathlib.Path(self.assets.folder)
