"""Finds networks that cannot train on a batch of one sample."""

from __future__ import annotations

import copy

import torch
from torch import nn

from trainables.errors import ConfigError
from trainables.models.cost import Example

_REFUSED = "more than 1 value per channel"
"""Words of the error that PyTorch's batch normalisation raises on a single value."""


def check_batch_of_one(model: nn.Module, like: tuple[int, int, int] | Example, *, section: str, training: str) -> None:
    """Check that a network can train on a batch of one sample; the network stays as it is.

    Args:
        model: the network, on the CPU.
        like: (K, H, W), or what gives the inputs.
        section: the network's section in the search file, for messages.
        training: the section of its training.

    Raises:
        ConfigError: it normalises over the batch and has one value a channel then.
    """
    sample = torch.zeros(1, *like) if isinstance(like, tuple) else like(1, torch.device("cpu"))
    tried = copy.deepcopy(model).train()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            tried(sample)
    except ValueError as error:
        if _REFUSED not in str(error):
            raise
        raise ConfigError(
            f"`{training}.batch_size` must be large enough that no batch has 1 sample, since batch normalisation in"
            f" `{section}` needs more than one value per channel; raise it, or add training samples."
        ) from error
