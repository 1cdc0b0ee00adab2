"""Lets a teacher read pictures normalised by constants of its own, where students read the data's.

K: channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from trainables.config import Normalization
from trainables.errors import ConfigError

if TYPE_CHECKING:
    from trainables.pictures import Dataset

CONSTANTS: dict[str, Normalization] = {
    "imagenet": Normalization(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "inception": Normalization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)),
    "cifar10": Normalization(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616)),
    "cifar100": Normalization(mean=(0.5071, 0.4865, 0.4409), std=(0.2673, 0.2564, 0.2762)),
    "mnist": Normalization(mean=(0.1307,), std=(0.3081,)),
    "fashion-mnist": Normalization(mean=(0.2860,), std=(0.3530,)),
}
"""The constants that training scripts use most, of pixels in [0, 1]; `none` stands for 0 and 1 in every channel."""


class OwnNormalization(nn.Module):
    """A network that takes pictures normalised by the data's constants and reads them normalised by its own.

    Args:
        network: reads float32 [N, K, H, W], normalised by its own constants.
        constants: mean and deviation of each channel, in [0, 1].
        dataset: the data, whose constants the inputs are normalised by.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, constants: Normalization, dataset: Dataset) -> None:
        super().__init__()
        self.network = network
        mean, std = (255.0 * np.array(values, dtype=np.float64) for values in (constants.mean, constants.std))
        scale = dataset.std.astype(np.float64) / std
        shift = (dataset.mean.astype(np.float64) - mean) / std
        for name, values in (("scale", scale), ("shift", shift)):
            self.register_buffer(name, torch.from_numpy(values).float()[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the network's outputs for pictures [N, K, H, W] that are normalised by the data's constants."""
        outputs: Tensor = self.network(images * self.scale + self.shift)
        return outputs


def constants_of(given: str | Normalization, channels: int) -> Normalization:
    """Return the constants that `teacher.normalization` names or holds, one of each for every channel.

    Raises:
        ConfigError: they are for another number of channels.
    """
    if given == "none":
        return Normalization(mean=(0.0,) * channels, std=(1.0,) * channels)
    found = given if isinstance(given, Normalization) else CONSTANTS[given]
    if len(set(zip(found.mean, found.std, strict=True))) == 1:
        return Normalization(mean=found.mean[:1] * channels, std=found.std[:1] * channels)
    if len(found.mean) != channels:
        raise ConfigError(
            f"`teacher.normalization` must have constants for {channels} channels, as the pictures have, but"
            f" {given if isinstance(given, str) else list(found.mean)!r} has {len(found.mean)}; give"
            " { mean = [...], std = [...] } with as many numbers."
        )
    return found
