"""Holds what a training reads on its device: pictures, or the samples of a user's task.

B: samples of a batch; K: channels; H, W: height and width; C: classes; V: views of a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from torch import Tensor, nn

from policies.balancer import LossBalancer, Step
from trainables.config import AugmentationSettings, ModelSettings
from trainables.device import Compute
from trainables.evaluation import EvaluationSet, ScoredSet, TaskSet, labelled
from trainables.models import create_model
from trainables.pictures import Split, TrialAssets, as_tensor, gather, normalise, on_device
from trainables.tasks import Samples, TaskAssets, TaskBatch, Tree, create_task, is_masked, map_tree
from trainables.training.augmentation import Augmentation, PictureViews
from trainables.training.own_views import OwnViews


class Batch(NamedTuple):
    """The data that one step trains on.

    `inputs` are those of the training samples `samples`, as a student reads them; of pictures float32 [B, K, H, W].
    `labels`, int64 [B], are those of the training samples `label_sources`. `targets`, the teacher's logits [B, C], are
    those of `target_sources`; float32, or float16 if they are stored so. Both sources are `samples`, except for what a
    corruption exchanges. All three are int64 [B]. Of a user's task, inputs, labels and targets are what it defines.
    """

    inputs: Tree
    labels: Tree
    targets: Tree
    samples: Tensor
    label_sources: Tensor
    target_sources: Tensor


class TrainingData(Protocol):
    """The training and the validation samples on a device, and the losses on them."""

    @property
    def compute(self) -> Compute:
        """The device and the precision."""
        ...

    @property
    def validation(self) -> ScoredSet:
        """The validation samples."""
        ...

    def __len__(self) -> int:
        """Return the number of training samples."""
        ...

    def create_student(self, settings: ModelSettings) -> nn.Module:
        """Create a student on the CPU; its weights come from PyTorch's global generator."""
        ...

    def place(self, student: nn.Module) -> nn.Module:
        """Move a student to the device, in the layout in which it trains."""
        ...

    def augmentation(self, settings: AugmentationSettings) -> PictureViews:
        """Create the views of the training samples on this device."""
        ...

    def batch(self, here: Tensor, there: Sequence[Tensor], augmentation: PictureViews, epoch: int) -> Batch:
        """Fetch a batch.

        Args:
            here: int64 [B] on the CPU, the training samples.
            there: the same, and the samples that labels and targets are taken from, each int64 [B] on the device.
            augmentation: the views.
            epoch: from 0; decides the view.
        """
        ...

    def outputs(self, student: nn.Module, batch: Batch) -> Tree:
        """Compute a student's outputs on a batch, with their graph."""
        ...

    def backward(
        self, balancer: LossBalancer, outputs: Tree, batch: Batch, *, label_smoothing: float, measure_now: bool
    ) -> Step:
        """Add the gradient of the weighted losses; see `LossBalancer.backward`."""
        ...


class DeviceAssets:
    """A trial's pictures on its device. On a CPU nothing is copied; pictures in a file stay there on any device."""

    def __init__(self, assets: TrialAssets, compute: Compute) -> None:
        def tensor(array: np.ndarray[Any, Any]) -> Tensor:
            return as_tensor(array).to(compute.device)

        self.compute = compute
        self.image_shape = assets.image_shape
        self.classes = len(assets.classes)
        self.images = on_device(assets.train.images, compute.device)
        self.labels = tensor(assets.train.labels)
        self.targets = tensor(assets.train_targets)
        self.mean = tensor(assets.mean)
        self.std = tensor(assets.std)
        self._stored_mean = assets.mean
        self._class_names = assets.classes
        self._initial = assets.initial
        self._own_views = None if assets.train_views is None else OwnViews(assets.train_views, compute.device)
        self.validation = self.evaluation_set(assets.validation, assets.validation_targets)

    def __len__(self) -> int:
        return len(self.labels)

    def evaluation_set(self, split: Split, teacher_logits: np.ndarray[Any, Any]) -> EvaluationSet:
        """Return a set to evaluate networks on, with the teacher's logits on its pictures, [N, C], on this device."""
        return EvaluationSet(
            images=on_device(split.images, self.compute.device),
            labels=as_tensor(split.labels).to(self.compute.device),
            teacher_logits=as_tensor(teacher_logits).to(self.compute.device),
            classes=self._class_names,
            mean=self.mean,
            std=self.std,
            compute=self.compute,
        )

    def create_student(self, settings: ModelSettings) -> nn.Module:
        """Create a student for the pictures; a pretrained one gets its weights."""
        student = create_model(settings, image_shape=self.image_shape, classes=self.classes)
        if settings.checkpoint is not None:
            weights = self._initial[settings.model_dump_json()]
            student.load_state_dict({name: as_tensor(array) for name, array in weights.items()}, strict=False)
        return student

    def place(self, student: nn.Module) -> nn.Module:
        """Move a student to the device, in channels-last layout."""
        return student.to(self.compute.device).to(memory_format=self.compute.memory_format)

    def augmentation(self, settings: AugmentationSettings) -> PictureViews:
        """Create the views of the training pictures on this device."""
        if settings.function is not None:
            assert self._own_views is not None  # computed with the teacher's outputs
            return self._own_views
        return Augmentation(settings, len(self), mean=self._stored_mean, device=self.compute.device)

    def prepare(self, images: Tensor) -> Tensor:
        """Turn stored pictures, uint8, into a student's input: normalised float32 in the device's layout."""
        return normalise(images, self.mean, self.std).contiguous(memory_format=self.compute.memory_format)

    def batch(self, here: Tensor, there: Sequence[Tensor], augmentation: PictureViews, epoch: int) -> Batch:
        """Fetch a batch of pictures in the view of the epoch."""
        samples, label_sources, target_sources = there
        images = augmentation.apply(gather(self.images, here, samples), samples, epoch % augmentation.views)
        return Batch(
            inputs=self.prepare(images),
            labels=self.labels[label_sources],
            targets=self.targets[epoch % len(self.targets)][target_sources],
            samples=samples,
            label_sources=label_sources,
            target_sources=target_sources,
        )

    def outputs(self, student: nn.Module, batch: Batch) -> Tensor:
        """Compute a student's logits, [B, C]."""
        logits: Tensor = student(batch.inputs)
        return logits

    def backward(
        self, balancer: LossBalancer, outputs: Tensor, batch: Batch, *, label_smoothing: float, measure_now: bool
    ) -> Step:
        """Add the gradient of cross entropy and T²·KL, weighted by the balancer's policy."""
        return balancer.backward_on_logits(
            outputs, batch.targets, batch.labels, label_smoothing=label_smoothing, measure_now=measure_now
        )


class TaskData:
    """The samples of a user's task on a trial's device, and the task's losses. On a CPU nothing is copied."""

    def __init__(self, assets: TaskAssets, compute: Compute) -> None:
        self.compute = compute
        self.own_task = assets.task
        self.task = create_task(assets.task)
        self.classes = assets.classes
        self.inputs = self._tensors(assets.train.inputs)
        self.labels = self._tensors(assets.train.labels)
        self.targets = self._tensors(assets.train_targets)
        self.validation = self.evaluation_set(assets.validation, assets.validation_targets)
        self._count = len(assets.train)
        self._masked = self.task.classification and is_masked(self.labels)
        self._nothing = Augmentation(AugmentationSettings(), self._count, mean=np.zeros(1), device=compute.device)

    def __len__(self) -> int:
        return self._count

    def _tensors(self, tree: Tree) -> Tree:
        return map_tree(lambda array: as_tensor(array).to(self.compute.device), tree)

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

    def create_student(self, settings: ModelSettings) -> nn.Module:
        """Create the task's student with the options of `settings`."""
        return create_task(self.own_task, **settings.options).student()

    def place(self, student: nn.Module) -> nn.Module:
        """Move a student to the device."""
        return student.to(self.compute.device)

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
        """Fetch a batch of samples."""
        samples, label_sources, target_sources = there
        return Batch(
            inputs=map_tree(lambda rows: rows[samples], self.inputs),
            labels=map_tree(lambda rows: rows[label_sources], self.labels),
            targets=map_tree(lambda rows: rows[target_sources], self.targets),
            samples=samples,
            label_sources=label_sources,
            target_sources=target_sources,
        )

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
        return balancer.backward(
            self.task.task_loss(outputs, seen).mean(),
            self.task.distill_loss(outputs, batch.targets, seen, balancer.temperature).mean(),
            measure_now=measure_now,
        )


def scored_set(data: DeviceAssets | TaskData, samples: Split | Samples, teacher_outputs: Tree) -> ScoredSet:
    """Return a further set, such as the test set, to evaluate networks on."""
    if isinstance(data, TaskData):
        assert isinstance(samples, Samples)
        return data.evaluation_set(samples, teacher_outputs)
    assert isinstance(samples, Split)
    return data.evaluation_set(samples, teacher_outputs)


def data_on_device(assets: TrialAssets | TaskAssets, compute: Compute) -> DeviceAssets | TaskData:
    """Put what trials share on a device."""
    return TaskData(assets, compute) if isinstance(assets, TaskAssets) else DeviceAssets(assets, compute)
