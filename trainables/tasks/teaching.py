"""Creates what teaches a task, and reads its outputs on the task's sets."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import torch
from torch import nn

from trainables.config import OwnTask
from trainables.errors import ConfigError, DataError, ModelError
from trainables.tasks.assets import Samples, check_finite, outputs_on, stored_outputs
from trainables.tasks.checks import call
from trainables.tasks.task import StoredOutputs, Task
from trainables.tasks.teachers import Ensemble, answer
from trainables.tasks.trees import Tree, leaves, map_tree

TaskTeacher: TypeAlias = nn.Module | tuple[StoredOutputs, ...]
"""A network, which may be an `Ensemble`, or the stored outputs of one teacher or several."""
_FEW = 8
_ROUNDING, _ROUNDING_ON_GPU = 1e-3, 2e-2
"""The largest difference between outputs on the same inputs, as a share of the largest output. Other batches are
rounded in another way, and a GPU may compute in TF32, which keeps ten bits."""


def create_teacher(own: OwnTask, task: Task, device: torch.device) -> TaskTeacher:
    """Create a task's teacher, on a device and in evaluation mode.

    Raises:
        ConfigError: `teacher` fails or returns something else, or outputs are stored for inputs that change.
        DataError: stored outputs lack those on the test set.
    """
    found: Any = call(own, "teacher", task.teacher)
    members = list(found) if isinstance(found, list | tuple) else [found]
    if members and all(isinstance(member, nn.Module) for member in members):
        teacher = Ensemble(members) if isinstance(found, list | tuple) else members[0]
        module: nn.Module = teacher.eval().requires_grad_(False).to(device)
        return module
    if not members or not all(isinstance(member, StoredOutputs) for member in members):
        kinds = ", ".join("None" if member is None else f"a {type(member).__name__}" for member in members)
        raise ConfigError(
            f"`teacher` of the task {own.origin} must return a torch.nn.Module, or trainables.tasks.StoredOutputs, or a"
            f" list of several of one kind, but got {kinds or 'an empty list'}."
        )
    if task.changes_inputs():
        raise ConfigError(
            f"the task {own.origin} defines `augment`, so its teacher must be asked about the changed inputs, but"
            " `teacher` returns StoredOutputs; return a network, or remove `augment`."
        )
    if not all(member.has_test for member in members):
        raise DataError(
            f"the teacher's stored outputs of the task {own.origin} lack those on the test set, so a search could not"
            " be confirmed; give `test` to StoredOutputs (a function that returns them)."
        )
    return tuple(members)


def outputs_of_teacher(
    own: OwnTask, task: Task, teacher: TaskTeacher, name: str, samples: Samples, device: torch.device
) -> Tree:
    """Return a teacher's outputs on a set, as a tree of arrays with N rows; those of several are combined.

    Args:
        own: the task as a setting.
        task: created from it.
        teacher: from `create_teacher`.
        name: the set's name: `train`, `validation` or `test`.
        samples: the set.
        device: the device of a network.

    Raises:
        KDPolicySearchError: stored outputs do not fit, some are not finite, or a method of the task fails.
        ModelError: a network gives other outputs for the same samples when it is asked again.
    """
    if isinstance(teacher, nn.Module):
        what = "forward(teacher, inputs)"
        outputs = call(own, what, lambda: outputs_on(task, teacher, samples.inputs, device))
        few = map_tree(lambda rows: torch.tensor(rows[:_FEW]).to(device), samples.inputs)
        with torch.no_grad():
            # The second answer: the first one could draw the random numbers that the stored outputs drew.
            _, again = call(own, what, lambda: (answer(task, teacher, few), answer(task, teacher, few)))
            check_alike(own, outputs, again)
        return outputs
    stored = [call(own, "teacher", lambda: stored_outputs(one, name, samples)) for one in teacher]  # noqa: B023
    if len(stored) == 1:
        return stored[0]
    together = call(own, "combine", lambda: task.combine([map_tree(torch.tensor, one) for one in stored]))
    return check_finite(map_tree(lambda leaf: leaf.float().numpy(), together))


def check_alike(own: OwnTask, stored: Tree, live: Tree) -> None:
    """Check that a teacher gives the same outputs on the same samples in another batch.

    Args:
        own: the task.
        stored: arrays of outputs that were computed in large batches.
        live: tensors of outputs on the first samples alone.

    Raises:
        ModelError: they differ by more than rounding.
    """
    for kept, now in zip(leaves(stored), leaves(live), strict=True):
        first, again = kept[: len(now)], now.float().cpu().numpy()
        scale = float(np.abs(first).max()) if first.size else 0.0
        rounding = _ROUNDING if now.device.type == "cpu" else _ROUNDING_ON_GPU
        if not np.allclose(first, again, rtol=0.0, atol=rounding * scale + 1e-6):
            raise ModelError(
                f"the teacher of the task {own.origin} gives other outputs for the same samples when it is asked again"
                f" in a batch of {len(again)} (largest difference {float(np.abs(first - again).max()):.3g}); its"
                " outputs are stored, so they must not depend on chance or on the batch."
            )
