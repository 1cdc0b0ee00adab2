"""Asks a task's teacher, or several of them, and sends it to the processes that train."""

from __future__ import annotations

import io
import pickle

import torch
from torch import nn

from policies.extensions import told
from policies.own_file import load_module
from trainables.config import OwnTask
from trainables.errors import ConfigError
from trainables.tasks.task import Task
from trainables.tasks.trees import Tree


class Ensemble(nn.ModuleList):
    """Several teachers that answer together, as the task's `combine` says."""


def answer(task: Task, teacher: nn.Module, inputs: Tree) -> Tree:
    """Compute the outputs of a teacher, or the combined ones of an `Ensemble`, on the inputs of a batch."""
    if isinstance(teacher, Ensemble):
        return task.combine([task.forward(member, inputs) for member in teacher])
    return task.forward(teacher, inputs)


def pack_teacher(own: OwnTask, teacher: nn.Module) -> bytes:
    """Return a teacher as bytes, which `unpack_teacher` reads in any process.

    Raises:
        ConfigError: it cannot be written.
    """
    stream = io.BytesIO()
    try:
        torch.save(teacher, stream)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"the teacher of the task {own.origin} is asked at every step, since the task defines `augment`, but cannot"
            f" be sent to the processes that train: {told(error)}. Define its classes at the top of the file, without"
            " lambdas in it."
        ) from error
    return stream.getvalue()


def unpack_teacher(own: OwnTask, packed: bytes, device: torch.device) -> nn.Module:
    """Return a teacher from `pack_teacher` on a device, in evaluation mode and without gradients."""
    load_module(own.file, own.source)  # its classes are found there
    teacher: nn.Module = torch.load(io.BytesIO(packed), map_location=device, weights_only=False)
    return teacher.eval().requires_grad_(False)
