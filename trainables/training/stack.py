"""Students of one architecture as one model: the same layers, with a dimension more.

R: students, here members; B: pictures of a member's batch; K: channels; H, W: height and width; C: classes;
P: trainable parameters of a student, and as many zeros as make it a multiple of `policies.stacked.pair.ALIGNED`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from policies.stacked.pair import ALIGNED
from policies.update.meter import last_block


class StackedLogits(NamedTuple):
    """`logits`, [R, B, C], and the last block's parameters as their graph holds them, each [R, ...]."""

    logits: Tensor
    block: tuple[Tensor, ...]


class StudentStack:
    """R students whose parameters are the rows of one tensor.

    Until `release`, the students' own parameters are views of their rows. An evaluation or a checkpoint of a student
    therefore reads what the stack has learned.

    Args:
        students: students of one architecture: chains of linear layers and ReLU; see `trainables.training.stacking`.

    Attributes:
        parameters: [R, P], in the order of a student's parameters, the zeros last; a leaf.
        sizes: lengths of the parts of a row.
    """

    def __init__(self, students: Sequence[nn.Module]) -> None:
        first = students[0]
        self._students = tuple(students)
        self._layers = tuple(first.children())
        self.sizes = [parameter.numel() for parameter in first.parameters()]
        self.sizes.append(-sum(self.sizes) % ALIGNED)
        self._in_block = len(last_block(first))
        self.parameters = next(first.parameters()).new_zeros(len(students), sum(self.sizes))
        for student, row in zip(students, self.parameters, strict=True):
            for parameter, piece in zip(student.parameters(), torch.split(row, self.sizes), strict=False):
                parameter.data = piece.view(parameter.shape).copy_(parameter.data)
        self.parameters.requires_grad_()

    def __call__(self, images: Tensor) -> StackedLogits:
        """Compute the logits of every member on its own pictures.

        Args:
            images: float32 [R·B, K, H, W], as students read them, one member's after another's.
        """
        pieces = torch.split(self.parameters, self.sizes, 1)[:-1]
        left = iter(pieces)
        values = images.view(len(self._students), -1, *images.shape[1:])
        for layer in self._layers:
            if isinstance(layer, nn.Linear):
                weights = next(left).view(-1, *layer.weight.shape).mT
                if layer.bias is None:
                    values = torch.bmm(values, weights)
                else:
                    values = torch.baddbmm(next(left)[:, None], values, weights)
            elif isinstance(layer, nn.ReLU):
                values = values.relu()
            else:
                values = values.flatten(2)
        return StackedLogits(values, pieces[-self._in_block :])

    def release(self) -> None:
        """Give the students parameters of their own again."""
        for student in self._students:
            for parameter in student.parameters():
                parameter.data = parameter.data.clone()
