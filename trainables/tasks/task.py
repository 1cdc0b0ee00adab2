"""`Task` describes a training of the user's own: its data, student, teacher, losses and metrics.

    class Reviews(Task):
        width: int = 64                       # an option, set under [task.options] in the search file

        def sets(self):
            return Sets(train=(x, y), validation=(x2, y2), test=lambda: (x3, y3))

        def student(self):
            return nn.Linear(100, 4)

        def teacher(self):
            return torch.load("teacher.pt", weights_only=False)

A search trains the student in its own loop, under every policy with the same batches, and never opens the test set;
only a confirmation does.

N: samples of a set; B: samples of a batch; C: classes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from trainables.settings import Settings
from trainables.tasks.trees import Tree, join_trees

IGNORED = -100
"""The label of a position that does not count, as in PyTorch's losses."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sets:
    """The three sets of a task. They must not share a sample.

    A set is a pair (inputs, labels) of arrays or tensors with N rows each, or a map-style data set, such as a
    `torch.utils.data.Dataset`, whose items are pairs (input, label). Inputs and labels may be dicts or tuples of
    arrays. They are read once and kept in memory, so a sample's input must be the same each time.
    """

    train: Any
    """The samples that students are trained on."""
    validation: Any
    """The samples on which policies are compared."""
    test: Callable[[], Any] | Any = None
    """The samples of a confirmation, or a function that returns them. A search does not call it."""
    ids: Mapping[str, Any] | None = None
    """Ids of the samples by set, `train`, `validation` and `test`: one number or text a sample. Those of the test set
    may be a function. Sets that share an id are refused; without ids, equal inputs are warned of."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class StoredOutputs:
    """A teacher's outputs in place of a teacher: for one behind an API, say.

    They are given for each set, in its order, or all together with `ids` as in `Sets.ids`. Those of the training set
    stay in their file if they are memory-mapped (`numpy.load(..., mmap_mode="r")`).
    """

    train: Tree = None
    """Outputs with N rows."""
    validation: Tree = None
    test: Callable[[], Tree] | Tree = None
    """Outputs on the test set, or a function that returns them; only a confirmation reads them."""
    outputs: Tree = None
    """Outputs on the samples of all sets, in the order of `ids`, in place of the other three."""
    ids: Any = None
    """One id a row of `outputs`, all different; samples that no set has may be among them."""

    @property
    def has_test(self) -> bool:
        """True if the outputs on the test set are given."""
        return self.test is not None or self.outputs is not None


class TaskBatch(NamedTuple):
    """The inputs and labels of a batch, which the losses of a task read. Both have B rows and lie on the device."""

    inputs: Tree
    labels: Tree


class Task(Settings):
    """The base of a user's task. Its fields are options, which a search file sets under `[task.options]`.

    By default a task is a classification with cross entropy and T²·KL, so only `sets`, `student` and `teacher` must be
    defined. Outputs are then logits [B, C], or [B, ..., C] for labels [B, ...]; positions with the label -100 do not
    count. A task with other losses defines `task_loss` and `distill_loss`, and one that is no classification sets
    `classification = False` and defines `metrics`.

    The methods `sets`, `student` and `teacher` are called with PyTorch's generators seeded. They must draw all random
    numbers from these, or from generators with fixed seeds.
    """

    unit: ClassVar[str] = "samples"
    """The plural of what one row is: `reviews`, `patients`, `sentences`."""
    classification: ClassVar[bool] = True
    """True if accuracy, cross entropy, calibration error and agreement with the teacher are measured."""

    def sets(self) -> Sets:
        """Return the three sets. Called once a run, and not by the processes that train."""
        raise NotImplementedError

    def student(self) -> nn.Module:
        """Return a new student, which maps the inputs of a batch to outputs; called once a training, under its seed."""
        raise NotImplementedError

    def teacher(self) -> nn.Module | StoredOutputs | Sequence[nn.Module] | Sequence[StoredOutputs]:
        """Return the trained teacher, which maps inputs to outputs, or its outputs. Called once a run.

        A list of teachers, or of stored outputs, teaches with what `combine` makes of their outputs.
        """
        raise NotImplementedError

    def forward(self, network: nn.Module, inputs: Tree) -> Tree:
        """Compute the outputs of student or teacher on the inputs of a batch."""
        return network(inputs)

    def logits(self, outputs: Tree) -> Tensor:
        """Return the logits in a network's outputs; by default the outputs are the logits. For classifications only."""
        return outputs  # type: ignore[no-any-return]

    def class_names(self) -> tuple[str, ...] | None:
        """Return the classes' names, in the order of the logits; None if they are only numbered."""
        return None

    def task_loss(self, outputs: Tree, batch: TaskBatch) -> Tensor:
        """Return the loss on the labels, one value or one a sample [B]; define `distill_loss`, too."""
        raise NotImplementedError

    def distill_loss(self, outputs: Tree, teacher_outputs: Tree, batch: TaskBatch, temperature: float) -> Tensor:
        """Return the loss towards the teacher, one value or one a sample [B], over the same graph as the task loss.

        Any number of terms, hints included, may be added up here: λ divides between labels and teacher.
        """
        raise NotImplementedError

    def augment(self, batch: TaskBatch) -> TaskBatch:
        """Return a training batch with changed inputs, such as noisy or shifted ones; by default it stays as it is.

        It is called at every step, on the device. PyTorch's global generators are seeded by the trial's seed and the
        epoch, so rules that are compared see the same inputs. Rows must keep their order, since labels and teacher
        belong to them. A task that defines this has its teacher asked at every step, about the changed inputs.
        """
        return batch

    def optimizer(self, student: nn.Module, learning_rate: float, total_steps: int) -> Any:
        """Return an optimiser, or a pair of an optimiser and a schedule; by default those of `[training]`.

        It must hold all parameters of the student that have a gradient. The schedule is stepped after every step.

        Args:
            student: the student, on its device.
            learning_rate: `training.learning_rate`, or that of the trial if it is searched.
            total_steps: the number of steps of the training.
        """
        raise NotImplementedError

    def combine(self, outputs: list[Tree]) -> Tree:
        """Return one teacher's outputs in place of several teachers' on the same inputs; by default their mean.

        The mean of logits gives the geometric mean of the teachers' distributions, up to its sum, at every temperature
        (Hinton et al. 2015, arXiv 1503.02531, section 1).
        """
        return join_trees(lambda leaves: torch.stack(leaves).mean(dim=0), outputs)

    def metrics(self, outputs: Tree, labels: Tree) -> dict[str, float | Tensor]:  # noqa: ARG002 - subclasses look
        """Return metrics of a network on a whole set, by name; each can be the search's `objective`.

        A metric is one number, or one value a sample, [N], whose mean it then is. With values by sample a confirmation
        also takes the noise of its test samples into account.

        Args:
            outputs: the network's outputs on all samples of the set, on the device.
            labels: the set's labels, likewise.
        """
        return {}

    @classmethod
    def has_own_losses(cls) -> bool:
        """Tell whether the task defines its losses, and does not use cross entropy and T²·KL of logits."""
        return cls.task_loss is not Task.task_loss or cls.distill_loss is not Task.distill_loss

    @classmethod
    def has_own_optimizer(cls) -> bool:
        """Tell whether the task defines its optimiser, and does not use that of `[training]`."""
        return cls.optimizer is not Task.optimizer

    @classmethod
    def changes_inputs(cls) -> bool:
        """Tell whether the task augments its inputs, so that its teacher must be asked at every step."""
        return cls.augment is not Task.augment


def is_masked(labels: Tensor) -> bool:
    """Tell whether not every row of a classification's labels, int64 [N, ...], is one answer that counts."""
    return labels.ndim > 1 or bool((labels == IGNORED).any())
