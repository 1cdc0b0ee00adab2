"""Decoupled distillation (Zhao et al. 2022, arXiv 2203.08679) on CIFAR-100, with mdistiller's teacher and settings.

    kd-search run examples/published/mdistiller.toml --confirm

The data set lies in the folder `data`; it is downloaded if it is not there.
"""

import dataclasses
from pathlib import Path
from typing import ClassVar

import torch
from torch.nn import functional

from policies import BatchPolicy, Decision
from policies.parameter import integer, real
from trainables.config import DataSettings, ModelSettings, TeacherSettings
from trainables.datasets import load_dataset
from trainables.models import create_model
from trainables.tasks import Sets, Task, TaskBatch
from trainables.teacher import restore_weights

SHAPE, CLASSES, MARGIN = (3, 32, 32), 100, 4
MEAN, STD = (0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)


class DKD(Task):
    """Cross entropy on the labels; `alpha`·TCKD + `beta`·NCKD towards the teacher."""

    unit = "pictures"
    root: str = "data"
    checkpoint: str = "download_ckpts/cifar_teachers/resnet32x4_vanilla/ckpt_epoch_240.pth"
    trained: str = "resnet8x4"
    taught_by: str = "resnet32x4"
    validation_size: int = 5000
    alpha: float = 1.0
    beta: float = 8.0

    def sets(self):
        """The pictures as they are stored, uint8."""
        settings = DataSettings(name="cifar100", validation_size=self.validation_size)
        data = load_dataset(settings, default_root=Path(self.root))
        sets = {name: getattr(data, name) for name in ("train", "validation", "test")}
        return Sets(**{name: (pictures.images, pictures.labels) for name, pictures in sets.items()})

    def student(self):
        """The network that is `trained`."""
        return create_model(ModelSettings(name=self.trained), image_shape=SHAPE, classes=CLASSES)

    def teacher(self):
        """The network that it is `taught_by`, with the weights of their release."""
        settings = TeacherSettings(model=ModelSettings(name=self.taught_by), checkpoint=self.checkpoint)
        network = create_model(settings.model, image_shape=SHAPE, classes=CLASSES)
        restore_weights(network, settings, Path(self.checkpoint), CLASSES)
        return network

    def forward(self, network, inputs):
        """Normalise, then compute the logits."""
        mean, std = (inputs.new_tensor(values, dtype=torch.float32)[:, None, None] for values in (MEAN, STD))
        return network((inputs / 255 - mean) / std)

    def augment(self, batch):
        """Shift by up to 4 pixels, with black ones from outside, and mirror every second picture."""
        padded = functional.pad(batch.inputs, (MARGIN,) * 4)
        count, _, height, width = batch.inputs.shape
        device = padded.device
        down, right = torch.randint(2 * MARGIN + 1, (2, count, 1), device=device)
        rows, columns = down + torch.arange(height, device=device), right + torch.arange(width, device=device)
        columns = torch.where(torch.rand(count, 1, device=device) < 0.5, columns.flip(1), columns)
        samples = torch.arange(count, device=device)[:, None, None]
        moved = padded[samples, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
        return TaskBatch(moved.contiguous(), batch.labels)

    def task_loss(self, outputs, batch):
        """Cross entropy of each picture."""
        return functional.cross_entropy(outputs, batch.labels, reduction="none")

    def distill_loss(self, outputs, teacher_outputs, batch, temperature):
        """Both parts of each picture, times T²."""
        student, teacher = (decoupled(logits / temperature, batch.labels) for logits in (outputs, teacher_outputs))
        target, others = (divergence(*pair) for pair in zip(student, teacher, strict=True))
        return temperature**2 * (self.alpha * target + self.beta * others)


def decoupled(logits, labels):
    """Return log-probabilities of [the label, anything else], [B, 2], and of the other classes alone, [B, C - 1]."""
    is_label = functional.one_hot(labels, logits.shape[1]).bool()
    others = logits[~is_label].view(len(logits), -1)
    binary = torch.stack([logits[is_label], others.logsumexp(1)], 1)
    return binary.log_softmax(1), others.log_softmax(1)


def divergence(student, teacher):
    """Return KL(teacher ‖ student) of log-probabilities [B, C], one value a row."""
    return functional.kl_div(student, teacher, reduction="none", log_target=True).sum(1)


@dataclasses.dataclass(kw_only=True, eq=False)
class WeightedSum(BatchPolicy):
    """`task`·L_task + `distill`·L_distill, where the second weight rises over the first epochs, as mdistiller's DKD."""

    family: ClassVar[str] = "weighted_sum"
    source: ClassVar[str] = "mdistiller's DKD, arXiv 2203.08679"

    task: float = real(1.0, low=0.01, high=100.0, meaning="weight of the task loss", searched=False)
    distill: float = real(1.0, low=0.01, high=100.0, meaning="weight of the teacher's loss", searched=False)
    epochs: int = integer(240, low=1, high=100_000, meaning="epochs of the training", searched=False)
    warm_up: int = integer(20, low=1, high=100_000, meaning="epochs until the full weight", searched=False)

    needs = frozenset({"progress"})

    def decide(self, observation):
        """Return λ and the common factor that make up both weights."""
        epoch = 1 + int(observation.progress * self.epochs + 1e-6)
        distill = self.distill * min(1.0, epoch / self.warm_up)
        return Decision(distill / (self.task + distill), self.task + distill, reason="weighted sum")

    def rule(self):
        """The rule in a sentence."""
        return (
            f"The losses are added with the weights {self.task:.3g} and {self.distill:.3g}; the teacher's rises to its"
            f" own over {self.warm_up} of {self.epochs} epochs."
        )

    @property
    def complexity(self):
        """The numbers in the rule."""
        return 3
