"""Averages over the processes of a data-parallel training, so that every rank sees, and decides, the same.

`DistributedDataParallel` averages gradients in a plain backward pass only. Gradients that were taken apart by
`torch.autograd.grad`, and readings such as losses, are averaged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed
from torch import Tensor, nn

# By name, since importing the sharded ones costs time that nobody else needs to spend.
_SHARDED = frozenset({"FullyShardedDataParallel", "FSDPModule"})


class Ranks:
    """The processes that train one student together; a single one unless `torch.distributed` is in use.

    Args:
        group: whose processes; None for this process alone.
    """

    def __init__(self, group: Any = None) -> None:
        self._group = group
        self.count = 1 if group is None else torch.distributed.get_world_size(group)

    @classmethod
    def of(cls, student: object) -> Ranks:
        """The processes that a wrapped student is trained by."""
        if isinstance(student, nn.parallel.DistributedDataParallel):
            return cls(student.process_group)
        if is_sharded(student):
            return cls(torch.distributed.group.WORLD)
        return cls()

    def average(self, values: Tensor) -> Tensor:
        """The mean over the ranks of a tensor, in place."""
        if self.count > 1:
            torch.distributed.all_reduce(values, group=self._group)
            values /= self.count
        return values

    def average_gradients(self, gradients: Sequence[Tensor]) -> None:
        """The mean over the ranks of each tensor, in place and in one message for each type of number."""
        if self.count == 1:
            return
        by_kind: dict[tuple[torch.dtype, torch.device], list[Tensor]] = {}
        for gradient in gradients:
            by_kind.setdefault((gradient.dtype, gradient.device), []).append(gradient)
        for same in by_kind.values():
            message = torch.cat([gradient.reshape(-1) for gradient in same])
            self.average(message)
            parts = torch.split(message, [gradient.numel() for gradient in same])
            torch._foreach_copy_(same, [part.view_as(gradient) for part, gradient in zip(parts, same, strict=True)])


def is_sharded(student: object) -> bool:
    """Whether a student's parameters are spread over the ranks, so that no rank can differentiate by all of them."""
    return any(base.__name__ in _SHARDED for base in type(student).__mro__)
