"""Compares what a written network gives with what the network itself gives, on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pydantic
import torch
from torch import Tensor, nn

from trainables.errors import ExportError
from trainables.settings import Settings
from trainables.tasks import Tree, count_rows, leaves, map_tree

TOLERANCE = 1e-4
"""The largest difference allowed, as a share of the largest output, or of 1 where all outputs are smaller."""

SIZES = (1, 2, 7)
"""The sizes of batches that are compared besides a batch of all samples."""


class Difference(Settings):
    """The difference between two forms of a network."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid")

    samples: int
    """The number of different samples that were compared."""
    largest: float
    """The largest absolute difference of an output."""
    largest_output: float
    """The largest absolute output."""


def batches_like(inputs: Tree) -> list[Tree]:
    """Return batches of 1, 2, 7 and all rows of some inputs; rows repeat where there are too few."""
    rows = count_rows(inputs)
    sizes = [*(size for size in SIZES if size != rows), rows]
    return [_rows(inputs, torch.arange(size) % rows) for size in sizes]


def _rows(inputs: Tree, places: Tensor) -> Tree:
    return map_tree(lambda leaf: leaf[places], inputs)


def compare(network: nn.Module, other: Callable[[Tree], Sequence[Tensor]], inputs: Tree, what: str) -> Difference:
    """Compare a network with another form of it, in batches of several sizes.

    Args:
        network: in evaluation mode, on the CPU.
        other: returns the leaves of the outputs of a batch, in order.
        inputs: the samples.
        what: names the other form, for the message.

    Raises:
        ExportError: the outputs differ by more than `TOLERANCE`, or in shape.
    """
    largest, scale = 0.0, 0.0
    for batch in batches_like(inputs):
        with torch.no_grad():
            expected = [leaf for leaf in leaves(network(batch)) if isinstance(leaf, Tensor)]
        found = other(batch)
        if [tuple(leaf.shape) for leaf in expected] != [tuple(leaf.shape) for leaf in found]:
            raise ExportError(
                f"{what} gives outputs of shapes {[list(leaf.shape) for leaf in found]} on {count_rows(batch)} samples,"
                f" but the network {[list(leaf.shape) for leaf in expected]}, so it is not kept."
            )
        for one, another in zip(expected, found, strict=True):
            if one.numel() == 0:
                continue
            gap = (one.double() - another.double()).abs().nan_to_num(0.0 if _same_gaps(one, another) else torch.inf)
            largest, scale = max(largest, gap.max().item()), max(scale, one.double().abs().nan_to_num().max().item())
    if largest > TOLERANCE * max(1.0, scale):
        raise ExportError(
            f"{what} gives other outputs than the network: they differ by {largest:.3g}, and {TOLERANCE:g} of the"
            f" largest output ({scale:.3g}) is allowed, so it is not kept."
        )
    return Difference(samples=count_rows(inputs), largest=largest, largest_output=scale)


def _same_gaps(one: Tensor, another: Tensor) -> bool:
    return torch.equal(one.double().isfinite(), another.double().isfinite())
