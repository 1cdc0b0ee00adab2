"""Holds a task that is checked, with its sets, student and teacher, which are made once for all clauses."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import pathlib
import tokenize
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from policies.own_file import read_source
from trainables.config import DeviceSettings, ModelSettings, OwnTask, PolicySettings, TrainingSettings, TrialSettings
from trainables.device import Compute, select_compute
from trainables.errors import ConfigError
from trainables.tasks import (
    Samples,
    Sets,
    Task,
    TaskAssets,
    TaskBatch,
    TaskTeacher,
    Tree,
    call,
    create_task,
    create_teacher,
    map_tree,
    outputs_of_teacher,
    pack_teacher,
    read_sets,
    samples_of,
)
from trainables.training import Distillation, TaskData

FEW = 32
"""The number of training samples that losses and metrics are checked on."""


class TaskSubject:
    """A task that is checked. All of its parts are made when they are first used, and kept."""

    def __init__(self, own: OwnTask) -> None:
        self.own = own
        self.task: Task = create_task(own)

    @functools.cached_property
    def sets(self) -> tuple[Samples, Samples, Sets]:
        """The training and the validation set, and the sets as given."""
        return read_sets(self.own, self.task)

    @functools.cached_property
    def test(self) -> Samples:
        """The test set."""
        given = self.sets[2].test
        return call(
            self.own, "sets", lambda: samples_of(given() if callable(given) else given, "test", self.sets[2].ids)
        )

    @functools.cached_property
    def teacher(self) -> TaskTeacher:
        """The teacher, which is created without a look at the test set."""
        with tripwire(self.task):
            return create_teacher(self.own, self.task, self.compute.device)

    def outputs(self, name: str, samples: Samples) -> Tree:
        """Return the teacher's outputs on a set, as arrays."""
        return outputs_of_teacher(self.own, self.task, self.teacher, name, samples, self.compute.device)

    @functools.cached_property
    def student(self) -> nn.Module:
        """A student, in evaluation mode."""
        return call(self.own, "student", self.task.student).eval()

    @property
    def batch(self) -> TaskBatch:
        """A new copy of the first training samples."""
        train = self.sets[0]
        return TaskBatch(*map_tree(lambda rows: torch.tensor(rows[:FEW]), (train.inputs, train.labels)))

    @functools.cached_property
    def student_outputs(self) -> Tree:
        """The student's outputs on `batch`, without a graph."""
        with torch.no_grad():
            return call(self.own, "forward", lambda: self.task.forward(self.student, self.batch.inputs))

    @functools.cached_property
    def teacher_outputs(self) -> Tree:
        """The teacher's outputs on `batch`."""
        return map_tree(lambda rows: torch.tensor(rows[:FEW]), self.outputs("train", self.sets[0]))

    @functools.cached_property
    def compute(self) -> Compute:
        """The CPU."""
        return select_compute(DeviceSettings(device="cpu"))

    @functools.cached_property
    def data(self) -> TaskData:
        """All that a training reads."""
        train, validation, _ = self.sets
        assets = TaskAssets(
            task=self.own,
            train=train,
            validation=validation,
            train_targets=self.outputs("train", train),
            validation_targets=self.outputs("validation", validation),
            classes=(),
            teacher_accuracy=None,
            teacher=pack_teacher(self.own, self.teacher)
            if self.task.changes_inputs() and isinstance(self.teacher, nn.Module)
            else None,
        )
        return TaskData(assets, self.compute)

    def training(self) -> Distillation:
        """Begin a training of two epochs, under a rule that measures both gradients."""
        settings = TrialSettings(
            student=ModelSettings(name=self.own.origin, options=self.own.options),
            training=TrainingSettings(epochs=2, learning_rate=1e-3, batch_size=min(64, max(1, len(self.sets[0]) // 2))),
            policy=PolicySettings(family="norm_balance"),
            evaluations=1,
            trace_points=2,
        )
        return Distillation(settings, self.data)


@contextlib.contextmanager
def tripwire(task: Task) -> Iterator[None]:
    """Let a test set that is a function raise AssertionError if it is called inside the block."""
    plain = type(task)

    def opened() -> Any:
        raise AssertionError("the test set was opened, which only a confirmation may do")

    class Guarded(plain):  # type: ignore[valid-type, misc]
        def sets(self) -> Sets:
            sets: Sets = super().sets()
            test = opened if callable(sets.test) else sets.test
            return dataclasses.replace(sets, test=test)

    object.__setattr__(task, "__class__", Guarded)
    try:
        yield
    finally:
        object.__setattr__(task, "__class__", plain)


def subject_of(task: Task | str | OwnTask) -> TaskSubject:
    """Return a task as it is checked; that of the last task is kept, so that clauses share what takes long.

    Raises:
        ConfigError: the class does not stand at the top of a file.
    """
    return _subject(own_of(task).model_dump_json())


@functools.lru_cache(maxsize=1)
def _subject(own: str) -> TaskSubject:
    return TaskSubject(OwnTask.model_validate_json(own))


def name_of(subject: Any) -> str:
    """Return the name of a task or a function, for messages."""
    return subject if isinstance(subject, str) else getattr(subject, "origin", type(subject).__name__)


def own_of(task: Any) -> OwnTask:
    """Return a task as a search gets it: by its class's name, the text of its file, and its options.

    Args:
        task: a task, or `my_task.py:MyTask`, relative to the working directory.

    Raises:
        ConfigError: it is neither, or its class does not stand at the top of a file.
    """
    if isinstance(task, OwnTask):
        return task
    if isinstance(task, str):
        origin, source = read_source(task, pathlib.Path(), what="task", example="my_task.py:MyTask")
        return OwnTask(origin=origin, source=source)
    if not isinstance(task, Task):
        raise ConfigError(f"a task must be an object like MyTask(), or FILE.py:CLASS, but got {task!r}.")
    kind = type(task)
    try:
        path = inspect.getsourcefile(kind)
    except TypeError:
        path = None
    if path is None or kind.__qualname__ != kind.__name__:
        raise ConfigError(
            f"the class {kind.__qualname__} must stand at the top of a file, since a search keeps the file's text."
        )
    with tokenize.open(path) as file:
        text = file.read()
    return OwnTask(origin=f"{pathlib.Path(path).name}:{kind.__name__}", source=text, options=task.model_dump())
