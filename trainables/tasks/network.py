"""A task's network as a plain module, and inputs to measure it with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from trainables.tasks.assets import Samples
from trainables.tasks.task import Task
from trainables.tasks.teachers import answer
from trainables.tasks.trees import Tree, map_tree


class TaskNetwork(nn.Module):
    """A network that is called as the task calls it: inputs of a batch to outputs.

    Args:
        task: of the user.
        network: the student or the teacher; a new student if None.
    """

    def __init__(self, task: Task, network: nn.Module | None = None) -> None:
        super().__init__()
        self._task = task
        if network is None:
            with torch.random.fork_rng(devices=[]):
                network = task.student()
        self.network = network

    def forward(self, inputs: Tree) -> Tree:
        """Return the outputs of a batch."""
        return answer(self._task, self.network, inputs)


def example_of(samples: Samples) -> Callable[[int, torch.device], Tree]:
    """Return a function that gives the inputs of the first samples, repeated if there are too few, on a device."""

    def inputs(count: int, device: torch.device) -> Tree:
        places = np.arange(count) % len(samples)
        return map_tree(lambda rows: torch.from_numpy(rows[places]).to(device), samples.inputs)

    return inputs
