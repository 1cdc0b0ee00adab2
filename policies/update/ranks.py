"""Averages gradients and readings over data-parallel processes, so that every rank sees and decides the same.

`DistributedDataParallel` averages gradients in a plain backward pass only. Gradients that were taken separately by
`torch.autograd.grad`, and readings such as losses, are averaged here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import torch
import torch.distributed
from torch import Tensor, nn

from policies.errors import PolicyError

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

Group: TypeAlias = "ProcessGroup | Literal['alone'] | None"
"""The processes whose readings are averaged: a group's, this one alone, or those that the student's wrapper shows."""

# Elements of one message: large enough for the network, small beside the gradients themselves.
_MESSAGE = 2**24

# Compared by name, since importing the sharded classes costs time that other trainings need not spend.
_SHARDED = frozenset({"FullyShardedDataParallel", "FSDPModule", "DTensor"})


class Ranks:
    """The processes that train one student together; a single one unless `torch.distributed` is in use.

    Args:
        group: the group of these processes; None for this process alone.
    """

    def __init__(self, group: ProcessGroup | None = None) -> None:
        self._group = group
        self.count = 1 if group is None else torch.distributed.get_world_size(group)

    @classmethod
    def of(cls, student: nn.Module | Sequence[Tensor], group: Group = None) -> Ranks:
        """Find the processes that train a student.

        Raises:
            PolicyError: several processes run, and neither the student nor `group` shows whether they train together;
                a wrong guess would let their students drift apart.
        """
        if group == "alone":
            return cls()
        if group is not None:
            return cls(group)
        for module in student.modules() if isinstance(student, nn.Module) else ():
            if isinstance(module, nn.parallel.DistributedDataParallel):
                return cls(module.process_group)
        if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
            return cls()
        if is_sharded(student):
            return cls(torch.distributed.group.WORLD)
        if torch.distributed.get_world_size() > 1:
            raise PolicyError(
                f"{torch.distributed.get_world_size()} processes run, but `student` does not show whether they train it"
                " together: pass the DistributedDataParallel module itself, or"
                " `process_group=torch.distributed.group.WORLD`, or `process_group='alone'` for a student of this"
                " process's own."
            )
        return cls()

    def average(self, values: Tensor) -> Tensor:
        """Average a tensor over the ranks, in place."""
        if self.count > 1:
            torch.distributed.all_reduce(values, group=self._group)
            values /= self.count
        return values

    def total(self, values: Tensor) -> Tensor:
        """Sum a tensor over the ranks, in place."""
        if self.count > 1:
            torch.distributed.all_reduce(values, group=self._group)
        return values

    def average_gradients(self, gradients: Sequence[Tensor | None], like: Sequence[Tensor]) -> list[Tensor | None]:
        """Average each gradient over the ranks, in place, in few messages.

        Args:
            gradients: this rank's; None where its loss does not depend on a parameter, which counts as 0 in the mean.
            like: the parameters.

        Returns:
            As many gradients; None where no rank has one.
        """
        if self.count == 1:
            return list(gradients)
        filled = [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, like, strict=True)]
        present = torch.tensor([g is not None for g in gradients], dtype=torch.float32).to(like[0].device)
        somewhere = self.average(present).tolist()
        for same in _messages([g for g, where in zip(filled, somewhere, strict=True) if where]):
            message = self.average(torch.cat([gradient.reshape(-1) for gradient in same]))
            parts = torch.split(message, [gradient.numel() for gradient in same])
            torch._foreach_copy_(same, [part.view_as(gradient) for part, gradient in zip(parts, same, strict=True)])
        return [gradient if where else None for gradient, where in zip(filled, somewhere, strict=True)]


def is_sharded(student: nn.Module | Sequence[Tensor]) -> bool:
    """Tell whether parameters are spread over the ranks, so that no rank can differentiate by all of them."""
    parts: list[object] = []
    if isinstance(student, nn.Module):
        parts += student.modules()
        student = list(student.parameters())
    parts += student
    return any(base.__name__ in _SHARDED for kind in {type(part) for part in parts} for base in kind.__mro__)


def _messages(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield neighbouring gradients of one dtype and device, up to a message's size."""
    pending: list[Tensor] = []
    for gradient in gradients:
        if pending and (
            (gradient.dtype, gradient.device) != (pending[0].dtype, pending[0].device)
            or sum(g.numel() for g in pending) + gradient.numel() > _MESSAGE
        ):
            yield pending
            pending = []
        pending.append(gradient)
    if pending:
        yield pending
