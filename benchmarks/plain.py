"""A plain distillation loop, as an engineer writes it in an afternoon: the reference of the other programs here.

Pictures go one by one through torchvision's transforms in a `DataLoader`. The teacher answers for every batch. Reading
the gradients takes two backward passes beside the one that trains. Student, teacher, pictures, losses, optimiser and
schedule are those of this package.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision import transforms

from trainables.config import AugmentationSettings, TrainingSettings, TrialSettings
from trainables.models import create_model
from trainables.pictures import Dataset, Split

Rule = Callable[[float, float], float]
"""λ from the gradients' cosine and norm ratio ‖g_d‖/‖g_t‖."""


def norm_balance(_cosine: float, norm_ratio: float) -> float:
    """Return λ of the package's rule of this name, with its default."""
    return 1.0 / (1.0 + norm_ratio)


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """A split read as `torchvision.datasets.FashionMNIST` reads it: a PIL picture, then the transforms."""

    def __init__(self, split: Split, transform: Callable[[Image.Image], Tensor]) -> None:
        self.images, self.labels, self.transform = split.images, split.labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = self.images[index : index + 1][0]
        picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
        return self.transform(picture), int(self.labels[index])


def transform(dataset: Dataset, augmentation: AugmentationSettings | None = None) -> Callable[[Image.Image], Tensor]:
    """Make a function from a PIL picture to a network's input, float32 [K, H, W]; random if augmented."""
    steps: list[Callable[..., Any]] = []
    if augmentation is not None and augmentation.crop_padding:
        fill = tuple(round(float(value)) for value in dataset.mean)
        steps.append(transforms.RandomCrop(dataset.image_shape[1:], padding=augmentation.crop_padding, fill=fill))
    if augmentation is not None and augmentation.flip:
        steps.append(transforms.RandomHorizontalFlip())
    # The older ToTensor takes 60 % of the time of ToImage and ToDtype.
    steps += [transforms.ToTensor(), transforms.Normalize((dataset.mean / 255).tolist(), (dataset.std / 255).tolist())]
    return cast(Callable[[Image.Image], Tensor], transforms.Compose(steps))


def loaders(
    dataset: Dataset, batch_size: int, augmentation: AugmentationSettings, *, workers: int = 0
) -> tuple[DataLoader[tuple[Tensor, int]], DataLoader[tuple[Tensor, int]]]:
    """Return the loaders (training, validation)."""
    augmented = transform(dataset, augmentation if augmentation.active else None)
    return (
        DataLoader(
            Pictures(dataset.train, augmented),
            batch_size=min(batch_size, len(dataset.train)),
            shuffle=True,
            drop_last=True,
            num_workers=workers,
        ),
        DataLoader(Pictures(dataset.validation, transform(dataset)), batch_size=256, num_workers=workers),
    )


def losses(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Return (task, distillation): cross entropy and T²·KL."""
    task = nn.functional.cross_entropy(student, labels)
    soft_student, soft_teacher = (
        nn.functional.log_softmax(logits / temperature, dim=1) for logits in (student, teacher)
    )
    distill = nn.functional.kl_div(soft_student, soft_teacher, reduction="batchmean", log_target=True) * temperature**2
    return task, distill


def look(task: Tensor, distill: Tensor, parameters: list[nn.Parameter]) -> tuple[float, float]:
    """Return (cosine, norm ratio) of the two losses' gradients; the graph is kept."""
    g_t = torch.cat([g.flatten() for g in torch.autograd.grad(task, parameters, retain_graph=True)])
    g_d = torch.cat([g.flatten() for g in torch.autograd.grad(distill, parameters, retain_graph=True)])
    return nn.functional.cosine_similarity(g_d, g_t, dim=0).item(), (g_d.norm() / g_t.norm()).item()


@torch.no_grad()
def accuracy(student: nn.Module, pictures: DataLoader[tuple[Tensor, int]]) -> float:
    """Return the share of hits; leave the student in evaluation mode."""
    student.eval()
    hits = sum(int((student(images).argmax(dim=1) == labels).sum()) for images, labels in pictures)
    return hits / len(pictures.dataset)  # type: ignore[arg-type]


def create_optimizer(student: nn.Module, training: TrainingSettings) -> torch.optim.Optimizer:
    """Create the optimiser in the usual way."""
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            student.parameters(),
            lr=training.learning_rate,
            momentum=training.momentum,
            nesterov=training.momentum > 0,
            weight_decay=training.weight_decay,
        )
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.Adam
    return kind(student.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay)


def create_student(settings: TrialSettings, dataset: Dataset, seed: int) -> nn.Module:
    """Create a student; the seed goes to PyTorch's global generator, which is not reset afterwards."""
    torch.manual_seed(seed)
    return create_model(settings.student, image_shape=dataset.image_shape, classes=len(dataset.classes))


@dataclasses.dataclass(frozen=True)
class Epoch:
    """The result of an evaluation after so many epochs."""

    epoch: int
    accuracy: float
    loss: float
    """Mean of the trained loss over the last batch."""


def evaluated_epochs(settings: TrialSettings) -> frozenset[int]:
    """Return the epochs, counted from 1, after which this package evaluates."""
    epochs = settings.training.epochs
    shares = min(settings.evaluations, epochs)
    return frozenset(math.ceil((i + 1) * epochs / shares) for i in range(shares))


def distil(
    settings: TrialSettings,
    dataset: Dataset,
    teacher: nn.Module,
    *,
    seed: int,
    rule: Rule | float,
    workers: int = 0,
    listen: Callable[[Epoch], None] | None = None,
) -> float:
    """Train one student; return its accuracy on the validation pictures.

    Args:
        settings: student, training, augmentation, temperature and how often it is evaluated; the rest is not read.
        dataset: pictures.
        teacher: a network in evaluation mode.
        seed: seeds initial weights and batches.
        rule: a rule that is asked at every step, or a constant λ, for which gradients are not read.
        workers: processes that load pictures.
        listen: is called with each evaluation.

    Raises:
        ValueError: if the schedule is not `one_cycle`.
    """
    training = settings.training
    if training.schedule != "one_cycle":
        raise ValueError(f"the plain loop has the schedule 'one_cycle' only, but got {training.schedule!r}.")
    student = create_student(settings, dataset, seed)
    parameters = list(student.parameters())
    batches, validation = loaders(dataset, training.batch_size, settings.augmentation, workers=workers)
    optimizer = create_optimizer(student, training)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.learning_rate, total_steps=training.epochs * len(batches), cycle_momentum=False
    )
    evaluated = evaluated_epochs(settings)
    found = math.nan
    for epoch in range(1, training.epochs + 1):
        student.train()
        for images, labels in batches:
            with torch.no_grad():
                teacher_logits = teacher(images)
            task, distill = losses(student(images), teacher_logits, labels, settings.temperature)
            weight = rule if isinstance(rule, float) else rule(*look(task, distill, parameters))
            loss = weight * distill + (1 - weight) * task
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        if epoch in evaluated:
            found = accuracy(student, validation)
            if listen is not None:
                listen(Epoch(epoch, found, loss.item()))
    return found
