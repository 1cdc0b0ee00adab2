"""Defines what a training reads on its device, and holds pictures for it. `task_data` holds a user's task.

B: samples of a batch; K: channels; H, W: height and width; C: classes; V: views of a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from torch import Tensor, nn, optim

from policies.balancer import LossBalancer, Step
from trainables.config import AugmentationSettings, ModelSettings, TrainingSettings, TrialSettings
from trainables.device import Compute
from trainables.evaluation import EvaluationSet, ScoredSet
from trainables.models import create_model
from trainables.pictures import Split, TrialAssets, as_tensor, gather, normalise, on_device
from trainables.tasks import Schedule, Tree
from trainables.training.augmentation import Augmentation, PictureViews
from trainables.training.optimization import create_optimizer, create_schedule, parameter_groups
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


Optimization: TypeAlias = tuple[optim.Optimizer, Schedule]
"""An optimiser and its schedule."""


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

    def for_trial(self, settings: TrialSettings) -> TrainingData:
        """Return the same data with the losses that a trial's options describe."""
        ...

    def judging(self, samples: ScoredSet) -> ScoredSet:
        """Return a set of samples on which this trial's students can be evaluated."""
        ...

    def create_student(self, settings: ModelSettings) -> nn.Module:
        """Create a student on the CPU; its weights come from PyTorch's global generator."""
        ...

    def place(self, student: nn.Module) -> nn.Module:
        """Move a student to the device, in the layout in which it trains."""
        ...

    @property
    def own_optimizer(self) -> str:
        """The name of the user's own optimiser; empty if it is that of the settings."""
        ...

    def optimizer(self, student: nn.Module, settings: TrainingSettings, total_steps: int) -> Optimization:
        """Create the optimiser of a student, and its schedule for so many steps."""
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

    own_optimizer = ""

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

    def for_trial(self, settings: TrialSettings) -> DeviceAssets:  # noqa: ARG002 - all trials have the same losses
        """Return the same data."""
        return self

    def judging(self, samples: ScoredSet) -> ScoredSet:
        """Return the same set."""
        return samples

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

    def optimizer(self, student: nn.Module, settings: TrainingSettings, total_steps: int) -> Optimization:
        """Create the optimiser and the schedule that the settings describe."""
        return usual_optimizer(student, settings, total_steps)

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


def usual_optimizer(student: nn.Module, settings: TrainingSettings, total_steps: int) -> Optimization:
    """Create the optimiser and the schedule that training settings describe."""
    optimizer = create_optimizer(parameter_groups(student, settings), settings)
    return optimizer, create_schedule(optimizer, settings, total_steps)
