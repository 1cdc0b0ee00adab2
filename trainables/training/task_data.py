"""Holds a user's task on a trial's device: samples, losses, and the teacher if it is asked at every step.

B: samples of a batch.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from policies.balancer import LossBalancer, Step
from policies.update.outputs import shows_samples
from trainables.config import AugmentationSettings, ModelSettings, TrainingSettings, TrialSettings
from trainables.device import Compute
from trainables.evaluation import ScoredSet, TaskSet, labelled
from trainables.pictures import as_tensor
from trainables.tasks import (
    MappedRows,
    Samples,
    TaskAssets,
    TaskBatch,
    Tree,
    answer,
    create_task,
    is_masked,
    join_trees,
    map_tree,
    own_optimizer,
    unpack_teacher,
)
from trainables.training.augmentation import Augmentation, PictureViews
from trainables.training.data import Batch, Optimization, usual_optimizer


class TaskData:
    """The samples of a user's task on a trial's device, and the task's losses. On a CPU nothing is copied.

    Losses have the options of the trial: the task's, those of its student, and those that are searched. Sets are judged
    without the searched ones, so that metrics measure all trials alike.
    """

    def __init__(self, assets: TaskAssets, compute: Compute) -> None:
        self.compute = compute
        self.own_task = assets.task
        self.options: Mapping[str, float] = {}
        self.task = self._judge = create_task(assets.task)
        self.classes = assets.classes
        self.inputs = self._tensors(assets.train.inputs)
        self.labels = self._tensors(assets.train.labels)
        self.targets = self._tensors(assets.train_targets)
        self.validation = self.evaluation_set(assets.validation, assets.validation_targets)
        self.teacher = None if assets.teacher is None else unpack_teacher(assets.task, assets.teacher, compute.device)
        self._corrupted = False
        self._count = len(assets.train)
        self._masked = self.task.classification and is_masked(self.labels)
        self._nothing = Augmentation(AugmentationSettings(), self._count, mean=np.zeros(1), device=compute.device)

    def __len__(self) -> int:
        return self._count

    def _tensors(self, tree: Tree) -> Tree:
        """Put arrays on the device; rows of a file stay there."""

        def moved(leaf: Any) -> Any:
            return leaf if isinstance(leaf, MappedRows) else as_tensor(leaf).to(self.compute.device)

        return map_tree(moved, tree)

    def _rows(self, tree: Tree, places: Tensor) -> Tree:
        """Return some rows of a tree on the device."""

        def fetched(leaf: Any) -> Tensor:
            if not isinstance(leaf, MappedRows):
                rows: Tensor = leaf[places]
                return rows
            read = torch.from_numpy(leaf[places.cpu().numpy()]).to(self.compute.device)
            return read.float() if read.dtype is torch.float16 else read

        return map_tree(fetched, tree)

    def evaluation_set(self, samples: Samples, teacher_outputs: Tree) -> TaskSet:
        """Return a set to evaluate networks on, with the teacher's outputs on its samples, on this device."""
        return TaskSet(
            own=self.own_task,
            task=self.task,
            inputs=self._tensors(samples.inputs),
            labels=self._tensors(samples.labels),
            teacher_logits=self._tensors(teacher_outputs),
            classes=self.classes,
            compute=self.compute,
        )

    def for_trial(self, settings: TrialSettings) -> TaskData:
        """Return the same data, with the options of a trial for losses and students."""
        options = settings.student.options
        if not settings.options and options == self.own_task.options and settings.corruption is None:
            return self
        data = copy.copy(self)
        data._corrupted = settings.corruption is not None
        data.options = dict(settings.options)
        data.task = create_task(self.own_task, **{**options, **data.options})
        data._judge = create_task(self.own_task, **options)
        data.validation = data.judging(self.validation)
        return data

    def judging(self, samples: ScoredSet) -> TaskSet:
        """Return a set of samples that is judged with the options of the trial's student."""
        assert isinstance(samples, TaskSet)
        return dataclasses.replace(samples, task=self._judge)

    def create_student(self, settings: ModelSettings) -> nn.Module:
        """Create the task's student with the options of `settings`, and with those that are searched."""
        return create_task(self.own_task, **{**settings.options, **self.options}).student()

    def place(self, student: nn.Module) -> nn.Module:
        """Move a student to the device."""
        return student.to(self.compute.device)

    @property
    def own_optimizer(self) -> str:
        """The name of the task's own optimiser; empty if it has none."""
        return f"{self.own_task.origin}.optimizer" if self.task.has_own_optimizer() else ""

    def optimizer(self, student: nn.Module, settings: TrainingSettings, total_steps: int) -> Optimization:
        """Create the optimiser and the schedule that the task defines, or else those of the settings.

        Raises:
            ConfigError: the task's method fails.
        """
        if not self.task.has_own_optimizer():
            return usual_optimizer(student, settings, total_steps)
        return own_optimizer(self.own_task, self.task, student, settings.learning_rate, total_steps)

    def augmentation(self, settings: AugmentationSettings) -> PictureViews:  # noqa: ARG002 - a task has no views
        """Return one view, the samples as they are."""
        return self._nothing

    def batch(
        self,
        here: Tensor,  # noqa: ARG002 - all samples lie on the device
        there: Sequence[Tensor],
        augmentation: PictureViews,  # noqa: ARG002
        epoch: int,  # noqa: ARG002
    ) -> Batch:
        """Fetch a batch of samples. Where the task changes inputs, the teacher is asked about the changed ones."""
        samples, label_sources, target_sources = there
        inputs, labels = self._rows(self.inputs, samples), self._rows(self.labels, label_sources)
        if self.teacher is None:
            targets = self._rows(self.targets, target_sources)
        else:
            with torch.no_grad():
                inputs, labels = self.task.augment(TaskBatch(inputs, labels))
                targets = self._answers(inputs, samples, target_sources)
        return Batch(
            inputs=inputs,
            labels=labels,
            targets=targets,
            samples=samples,
            label_sources=label_sources,
            target_sources=target_sources,
        )

    def _answers(self, inputs: Tree, samples: Tensor, target_sources: Tensor) -> Tree:
        """Ask the teacher; a sample whose answer a corruption exchanges gets the stored one of the other sample."""
        assert self.teacher is not None
        answers = map_tree(Tensor.float, answer(self._judge, self.teacher, inputs))
        if not self._corrupted:
            return answers
        exchanged = samples != target_sources
        others = self._rows(self.targets, target_sources)

        def chosen(pair: list[Tensor]) -> Tensor:
            return torch.where(exchanged.view(-1, *[1] * (pair[0].ndim - 1)), pair[0], pair[1])

        return join_trees(chosen, [others, answers])

    def outputs(self, student: nn.Module, batch: Batch) -> Tree:
        """Compute a student's outputs on a batch, with their graph."""
        return self.task.forward(student, batch.inputs)

    def backward(
        self, balancer: LossBalancer, outputs: Tree, batch: Batch, *, label_smoothing: float, measure_now: bool
    ) -> Step:
        """Add the gradient of the task's losses, weighted by the balancer's policy."""
        if not self.task.has_own_losses():
            logits, labels, targets = labelled(self.task, outputs, batch.labels, batch.targets, masked=self._masked)
            return balancer.backward_on_logits(
                logits, targets, labels, label_smoothing=label_smoothing, measure_now=measure_now
            )
        seen = TaskBatch(batch.inputs, batch.labels)
        task_loss = self.task.task_loss(outputs, seen)
        distill_loss = self.task.distill_loss(outputs, batch.targets, seen, balancer.temperature)
        if shows_samples(outputs, task_loss, distill_loss):
            return balancer.backward_on_outputs(outputs, task_loss, distill_loss, measure_now=measure_now)
        return balancer.backward(task_loss.mean(), distill_loss.mean(), measure_now=measure_now)
