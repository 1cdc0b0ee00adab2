"""Finds out whether a teacher was trained with other constants than the data's own, which costs accuracy silently."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from trainables.errors import ConfigError
from trainables.pictures import Dataset, Split
from trainables.teacher.normalization import OwnNormalization, constants_of
from trainables.teacher.targets import accuracy, compute_logits

_TRIED = ("imagenet", "inception", "mnist", "fashion-mnist", "none")
_MOST = 200
"""The most validation pictures that the teacher is asked about under each of the constants."""
_LEAST_GAIN = 0.03


def better_constants(module: nn.Module, dataset: Dataset, device: torch.device) -> str:
    """Return a sentence that names constants under which a teacher is clearly better; empty if there are none.

    Args:
        module: a teacher that reads pictures normalised by the data's constants, in evaluation mode.
        dataset: the data; up to 200 of its validation pictures are used.
        device: the device to compute on.
    """
    count = min(_MOST, len(dataset.validation))
    few = dataset.validation.subset(np.linspace(0, len(dataset.validation) - 1, count).astype(np.int64))
    usual = _accuracy(module, few, dataset, device)
    found = {}
    for name in _TRIED:
        try:
            constants = constants_of(name, dataset.image_shape[0])
        except ConfigError:  # they are for another number of channels
            continue
        found[name] = _accuracy(OwnNormalization(module, constants, dataset), few, dataset, device)
    best = max(found, key=lambda name: found[name])
    noise = 3 * math.sqrt(max(found[best] * (1 - found[best]), 1 / count) / count)
    if found[best] - usual < max(_LEAST_GAIN, noise):
        return ""
    return (
        f"warning: the teacher reads pictures normalised by the data's own constants and is right on {usual:.1%} of"
        f' {count} validation pictures; with `teacher.normalization = "{best}"` it would be right on {found[best]:.1%}'
    )


def _accuracy(module: nn.Module, few: Split, dataset: Dataset, device: torch.device) -> float:
    return accuracy(compute_logits(module, few.images, dataset, device), few.labels)
