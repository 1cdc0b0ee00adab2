"""Tries a task out in seconds, before anything is spent: one batch, both losses, one evaluation.

N: samples of a set; C: classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from policies.extensions import told
from policies.own_file import line_in
from policies.policy import Given
from policies.update.outputs import shows_samples
from trainables.config import OwnTask
from trainables.errors import ConfigError, DataError, ModelError
from trainables.tasks.assets import Samples, is_finite, samples_of
from trainables.tasks.ids import check_disjoint
from trainables.tasks.task import IGNORED, Sets, Task, TaskBatch
from trainables.tasks.trees import Tree, count_rows, leaves, map_tree, shapes

_FEW = 8
_Result = TypeVar("_Result")


def call(own: OwnTask, what: str, function: Callable[[], _Result]) -> _Result:
    """Call a method of a user's task with PyTorch's generators seeded.

    Raises:
        ConfigError: it fails; the message names file, line and error.
    """
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return function()
    except (ConfigError, DataError, ModelError):
        raise
    except Exception as error:  # whatever the user's own code raises
        raise ConfigError(
            f"`{what}` of the task {own.origin} failed{line_in(own.file, error)}: {told(error)}."
        ) from error


def read_sets(own: OwnTask, task: Task) -> tuple[Samples, Samples, Sets]:
    """Return the training set, the validation set and the sets as given; the test set is not opened.

    Raises:
        ConfigError: `sets` fails or returns something else.
        DataError: a set is malformed, there is no test set, or the two sets have samples of different shapes.
    """
    sets = call(own, "sets", task.sets)
    if not isinstance(sets, Sets):
        raise ConfigError(f"`sets` of the task {own.origin} must return trainables.tasks.Sets, but got {_kind(sets)}.")
    if sets.test is None:
        raise DataError(
            f"the task {own.origin} has no test set, so its search could not be confirmed; give `test` to Sets (a"
            " function that returns it, so that a search does not open it)."
        )
    train, validation = (
        call(own, "sets", lambda name=name: samples_of(getattr(sets, name), name, sets.ids))  # type: ignore[misc]
        for name in ("train", "validation")
    )
    check_disjoint(train.ids, validation.ids, ("training", "validation"))
    for part in ("inputs", "labels"):
        one, other = shapes(getattr(train, part)), shapes(getattr(validation, part))
        if one != other:
            raise DataError(
                f"the {part} of the training and the validation set must have the same types and shapes, but are"
                f" {one} and {other}."
            )
    for name, samples in (("train", train), ("validation", validation)):
        if not is_finite((samples.inputs, samples.labels)):
            raise DataError(
                f"the task's {name} set must hold finite numbers, but some are infinite or NaN; fill in or leave out"
                " what is missing in `sets`."
            )
    return train, validation, sets


def shared_samples(one: Samples, other: Samples) -> int:
    """Count the samples of `other` that are also in `one`: by their ids, or else by their inputs."""
    if one.ids is not None and other.ids is not None:
        ids = set(one.ids)
        return sum(key in ids for key in other.ids)
    known = set(_rows(one.inputs))
    return sum(row in known for row in _rows(other.inputs))


def _rows(inputs: Tree) -> list[bytes]:
    arrays = [np.ascontiguousarray(leaf) for leaf in leaves(inputs)]
    return [b"".join(array[row].tobytes() for array in arrays) for row in range(len(arrays[0]))]


class TriedOut(NamedTuple):
    """The findings of a task on a few samples.

    `logits` is the number of the student's logits, 0 if it has none. `metrics` are the names of the task's own, and
    `given` is the form of what its losses give a rule.
    """

    logits: int
    metrics: set[str]
    given: Given


def try_out_task(own: OwnTask, task: Task, train: Samples, *, section: str = "task.options") -> TriedOut:
    """Run an untrained student once on a few samples, with both losses and all metrics.

    Raises:
        ConfigError: a method fails, or returns something that a search cannot use.
        ModelError: the student's weights differ between two calls under the same seed.
    """
    student = call(own, "student", task.student)
    if not isinstance(student, nn.Module):
        raise ConfigError(
            f"`student` of the task {own.origin} must return a torch.nn.Module, but got {_kind(student)}."
        )
    twin = call(own, "student", task.student)
    pairs = itertools.zip_longest(student.state_dict().values(), twin.state_dict().values())
    if not all(one is not None and other is not None and torch.equal(one, other) for one, other in pairs):
        raise ModelError(
            f"`student` of the task {own.origin} ({section}) gives other weights each time, so students could not be"
            " compared under the same seed; draw all random numbers from PyTorch's global generator."
        )
    if not any(parameter.requires_grad for parameter in student.parameters()):
        raise ModelError(f"the student of the task {own.origin} has no trainable parameter.")
    few = map_tree(lambda rows: torch.tensor(rows[:_FEW]), (train.inputs, train.labels))
    batch = _augmented(own, task, TaskBatch(*few)) if task.changes_inputs() else TaskBatch(*few)
    outputs = call(own, "forward(student, inputs)", lambda: task.forward(student, batch.inputs))
    if not all(isinstance(leaf, Tensor) for leaf in leaves(outputs)):
        raise ConfigError(
            f"the student of the task {own.origin} must return a tensor, or a dict or tuple of tensors, but got"
            f" {_kind(outputs)}."
        )
    classes = 0
    if task.classification:
        logits = call(own, "logits", lambda: task.logits(outputs))
        check_logits(own, logits, batch.labels, "student")
        classes = logits.shape[-1]
    given: Given = "logits"
    if task.has_own_losses():
        teacher = map_tree(Tensor.detach, outputs)
        losses = (
            call(own, "task_loss", lambda: task.task_loss(outputs, batch)),
            call(own, "distill_loss", lambda: task.distill_loss(outputs, teacher, batch, 1.0)),
        )
        for name, loss in zip(("task_loss", "distill_loss"), losses, strict=True):
            _check_loss(own, name, loss, len(few[1]) if isinstance(few[1], Tensor) else _FEW)
        given = "outputs" if shows_samples(outputs, *losses) else "losses"
    metrics = call(own, "metrics", lambda: task.metrics(map_tree(Tensor.detach, outputs), batch.labels))
    if not isinstance(metrics, dict) or not all(isinstance(name, str) for name in metrics):
        raise ConfigError(f"`metrics` of the task {own.origin} must return a dict by name, but got {_kind(metrics)}.")
    for name, value in metrics.items():
        check_metric(name, value, count_rows(batch.labels))
    return TriedOut(classes, set(metrics), given)


def _augmented(own: OwnTask, task: Task, batch: TaskBatch) -> TaskBatch:
    """Augment a batch twice under one seed; return it.

    Raises:
        ConfigError: it is no batch of as many rows, or the two differ.
    """

    def once() -> TaskBatch:
        copied = map_tree(Tensor.clone, tuple(batch))
        with torch.no_grad():
            return call(own, "augment", lambda: task.augment(TaskBatch(*copied)))

    one, other = once(), once()
    if not isinstance(one, tuple) or len(one) != 2:
        raise ConfigError(
            f"`augment` of the task {own.origin} must return TaskBatch(inputs, labels), but got {_kind(one)}."
        )
    rows = [len(leaf) for leaf in leaves(tuple(one))]
    if set(rows) != {count_rows(tuple(batch))}:
        raise ConfigError(
            f"`augment` of the task {own.origin} must keep the {count_rows(tuple(batch))} rows of a batch, but returns"
            f" {', '.join(map(str, rows))}."
        )
    if not all(torch.equal(a, b) for a, b in zip(leaves(tuple(one)), leaves(tuple(other)), strict=True)):
        raise ConfigError(
            f"`augment` of the task {own.origin} gives other inputs each time under one seed, so rules could not be"
            " compared on the same inputs; draw all random numbers from PyTorch's global generator."
        )
    return TaskBatch(*one)


def check_logits(own: OwnTask, logits: object, labels: object, who: str) -> None:
    """Make sure that logits and labels of a classification fit.

    Raises:
        ConfigError: they do not.
    """
    if not isinstance(labels, Tensor) or labels.dtype is not torch.int64:
        kind = str(labels.dtype).removeprefix("torch.") if isinstance(labels, Tensor) else _kind(labels)
        raise ConfigError(
            f"the labels of the classification {own.origin} must be one array of whole numbers, the classes, but are"
            f" {kind}; a task with other labels sets `classification = False`, and defines losses and metrics."
        )
    if not isinstance(logits, Tensor) or logits.ndim != labels.ndim + 1 or logits.shape[:-1] != labels.shape:
        found = list(logits.shape) if isinstance(logits, Tensor) else _kind(logits)
        raise ConfigError(
            f"the {who} of the classification {own.origin} must give logits {[*labels.shape, 'C']} for labels"
            f" {list(labels.shape)}, the classes last, but gives {found}; define `logits` if the outputs hold more."
        )
    classes, counted = logits.shape[-1], labels[labels != IGNORED]
    if classes < 2:
        raise ConfigError(f"the {who} of the classification {own.origin} must give at least two logits, but gives 1.")
    if len(counted) and not 0 <= int(counted.min()) <= int(counted.max()) < classes:
        raise ConfigError(
            f"the labels of {own.origin} must lie in 0…{classes - 1}, the classes of the {who}'s logits (or be"
            f" {IGNORED}, which does not count), but lie in {int(counted.min())}…{int(counted.max())}."
        )


def check_metric(name: str, value: object, rows: int) -> None:
    """Raise ConfigError if a metric is neither one number nor a tensor of one number a sample."""
    if isinstance(value, Tensor) and (value.ndim == 0 or value.shape == (rows,)):
        return
    if not isinstance(value, Tensor) and isinstance(value, int | float | np.number):
        return
    found = f"a tensor {list(value.shape)}" if isinstance(value, Tensor) else _kind(value)
    raise ConfigError(
        f"the metric {name!r} must be one number, or a tensor of one number a sample, [{rows}], but is {found}."
    )


def _check_loss(own: OwnTask, name: str, loss: object, count: int) -> None:
    if not isinstance(loss, Tensor) or loss.ndim > 1 or (loss.ndim == 1 and len(loss) != count):
        found = list(loss.shape) if isinstance(loss, Tensor) else _kind(loss)
        raise ConfigError(
            f"`{name}` of the task {own.origin} must return one value, or one a sample ([{count}]), but got {found}."
        )
    if not loss.requires_grad:
        raise ConfigError(
            f"`{name}` of the task {own.origin} must depend on the student's outputs, but has no graph; do not use"
            " `detach`, `item` or `no_grad` in it."
        )
    if not bool(loss.isfinite().all()):
        raise ConfigError(f"`{name}` of the task {own.origin} must be finite on the first samples, but is not.")


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
