"""Measures how good a network is on one set of pictures; accuracy and related scores of a set are computed here only.

N: pictures of the set; B: pictures of a batch; K: channels; H, W: height and width; C: classes.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from trainables.config import Measured, OwnKPI, OwnTask
from trainables.device import Compute
from trainables.errors import ConfigError
from trainables.models import folded
from trainables.pictures import Dataset, StoredImages, as_tensor, normalise
from trainables.records import ACCURACY, SampleValues, SetScore
from trainables.tasks import (
    IGNORED,
    Task,
    TaskBatch,
    Tree,
    call,
    check_metric,
    count_rows,
    is_masked,
    join_trees,
    map_tree,
)

BINS = 15
"""The number of bins of the calibration error."""
_BATCH = 1024
_BATCH_ON_CPU = 256  # a quarter of the memory; as fast where freed memory is kept, elsewhere 1.5 times as fast
_FEW = 4


class ScoredSet(Protocol):
    """A set of samples on a device, on which networks are evaluated. Iterating gives a network's inputs in batches."""

    @property
    def labels(self) -> Any:
        """The labels, a tree of tensors with N rows."""
        ...

    @property
    def teacher_logits(self) -> Any:
        """The teacher's outputs, a tree of tensors with N rows."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the order of the logits."""
        ...

    def __len__(self) -> int:
        """Return the number of samples."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Yield the inputs of a network in batches."""
        ...

    def logits(self, model: nn.Module) -> Any:
        """Compute a network's outputs in evaluation mode on all samples, without gradients."""
        ...

    def score(self, outputs: Any) -> SetScore:
        """Compute the scores that are always measured."""
        ...

    def right(self, outputs: Any) -> Tensor | None:
        """Tell which samples are classified correctly, bool [N], or numbers whose mean is the accuracy, or None."""
        ...

    def metrics(self, outputs: Any) -> dict[str, Measured]:
        """Measure the metrics that the set's task defines."""
        ...

    def copied(self) -> Any:
        """Return the same set with labels and teacher's outputs of its own."""
        ...

    def part(self, places: slice) -> Any:
        """Return the set of some of the samples."""
        ...


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """Pictures, their labels and the teacher's logits, on one device. Iterating gives the pictures in batches.

    A batch is what a network reads: normalised float32 [B, K, H, W], in the order of `labels`. B is at most 1024, on a
    CPU at most 256.
    """

    images: StoredImages
    """The pictures as stored, uint8 [N, K, H, W]; if they are too many for memory, they are read in parts."""
    labels: Tensor
    """Int64 [N], in [0, C)."""
    teacher_logits: Tensor
    """Float32 [N, C]."""
    classes: tuple[str, ...]
    mean: Tensor
    """The mean of each channel, in stored units, float32 [K]; `std` has the same shape and units."""
    std: Tensor
    compute: Compute

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Tensor]:
        size = _BATCH_ON_CPU if self.compute.device.type == "cpu" else _BATCH
        for start in range(0, len(self), size):
            part = self.images[start : start + size]
            yield normalise(part, self.mean, self.std).contiguous(memory_format=self.compute.memory_format)

    def logits(self, model: nn.Module) -> Tensor:
        """Compute the logits of a model in evaluation mode on the pictures, float32 [N, C], without gradients."""
        # One tensor from the start: small tensors, kept between large allocations, would fragment the memory.
        logits = torch.empty(len(self), len(self.classes), device=self.labels.device)
        with torch.no_grad():
            model = folded(model)
            begin = 0
            for images in self:
                with self.compute.autocast():
                    logits[begin : begin + len(images)] = model(images)
                begin += len(images)
        return logits

    def score(self, outputs: Tensor) -> SetScore:
        """Compute the scores of logits, [N, C]."""
        return score_logits(outputs, self.labels, self.teacher_logits)

    def right(self, outputs: Tensor) -> Tensor:
        """Tell which pictures are classified correctly, bool [N]."""
        return outputs.argmax(dim=1) == self.labels

    def metrics(self, outputs: Tensor) -> dict[str, Measured]:  # noqa: ARG002
        """Return nothing: pictures have no metrics but the scores."""
        return {}

    def copied(self) -> EvaluationSet:
        """Return the same set with labels and teacher's logits of its own."""
        return dataclasses.replace(self, labels=self.labels.clone(), teacher_logits=self.teacher_logits.clone())

    def part(self, places: slice) -> EvaluationSet:
        """Return the set of some of the pictures."""
        return dataclasses.replace(
            self, images=self.images[places], labels=self.labels[places], teacher_logits=self.teacher_logits[places]
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskSet:
    """The samples of a task's set on one device. Iterating gives a network's inputs in batches of at most 256."""

    own: OwnTask
    """The task as a setting, whose file messages name."""
    task: Task
    inputs: Tree
    labels: Tree
    teacher_logits: Tree
    classes: tuple[str, ...]
    compute: Compute

    def __len__(self) -> int:
        return count_rows(self.labels)

    def __iter__(self) -> Iterator[Tree]:
        for start in range(0, len(self), _BATCH_ON_CPU):
            yield map_tree(lambda leaf: leaf[start : start + _BATCH_ON_CPU], self.inputs)  # noqa: B023

    def logits(self, model: nn.Module) -> Tree:
        """Compute a network's outputs in evaluation mode on all samples, float32, without gradients."""
        parts = []
        with torch.no_grad():
            for inputs in self:
                with self.compute.autocast():
                    outputs = self.task.forward(model, inputs)
                parts.append(map_tree(Tensor.float, outputs))
        return join_trees(torch.cat, parts)

    def score(self, outputs: Tree) -> SetScore:
        """Compute the scores; of a task that is no classification only the loss, the others are None."""
        if not self.task.classification:
            return SetScore(accuracy=None, loss=self._loss(outputs), calibration_error=None, agreement=None)
        scores = score_logits(
            *labelled(self.task, outputs, self.labels, self.teacher_logits, masked=is_masked(self.labels))
        )
        return scores.model_copy(update={"loss": self._loss(outputs)}) if self.task.has_own_losses() else scores

    def _loss(self, outputs: Tree) -> float:
        with torch.no_grad():
            return float(self.task.task_loss(outputs, TaskBatch(self.inputs, self.labels)).double().mean())

    def right(self, outputs: Tree) -> Tensor | None:
        """Tell which samples are classified correctly, [N]; None if the task is no classification.

        If a sample has several answers, or answers that do not count, its value is a number whose mean over the samples
        is the accuracy over all answers: the accuracy plus the sample's surplus of right answers, in units of the mean
        number of answers. It is the linearised ratio of Cochran 1977, chapter 6, so that the noise of samples can be
        told from these values although they differ in length.
        """
        if not self.task.classification:
            return None
        right: Tensor = self.task.logits(outputs).argmax(dim=-1) == self.labels
        if not is_masked(self.labels):
            return right
        counted = self.labels != IGNORED
        answers = counted.flatten(1).sum(dim=1).double() if counted.ndim > 1 else counted.double()
        correct = (right & counted).flatten(1).sum(dim=1).double() if counted.ndim > 1 else (right & counted).double()
        accuracy = correct.sum() / answers.sum()
        values: Tensor = accuracy + (correct - accuracy * answers) / answers.mean()
        return values

    def metrics(self, outputs: Tree) -> dict[str, Measured]:
        """Measure the task's metrics.

        Raises:
            ConfigError: the function fails, or a metric is neither a number nor one number a sample.
        """
        with torch.no_grad():
            found = call(self.own, "metrics", lambda: self.task.metrics(outputs, self.labels))
        measured = {}
        for name, value in found.items():
            check_metric(name, value, len(self))
            by_sample = isinstance(value, Tensor) and value.ndim > 0
            measured[name] = Measured.of_samples(value) if by_sample else Measured(float(value))
        return measured

    def copied(self) -> TaskSet:
        """Return the same set with labels and teacher's outputs of its own."""
        return dataclasses.replace(
            self,
            labels=map_tree(Tensor.clone, self.labels),
            teacher_logits=map_tree(Tensor.clone, self.teacher_logits),
        )

    def part(self, places: slice) -> TaskSet:
        """Return the set of some of the samples."""
        trees = {name: getattr(self, name) for name in ("inputs", "labels", "teacher_logits")}
        return dataclasses.replace(self, **{n: map_tree(lambda leaf: leaf[places], t) for n, t in trees.items()})


def labelled(
    task: Task, outputs: Tree, labels: Tensor, teacher_outputs: Tree, *, masked: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return logits, labels and teacher's logits of the positions that count: [M, C], [M], [M, C].

    `masked` is what `is_masked` says of the whole set, since asking a batch would wait for the device at every step.
    """
    logits, teacher_logits = task.logits(outputs), task.logits(teacher_outputs)
    if not masked:
        return logits, labels, teacher_logits
    chosen = labels != IGNORED
    return logits[chosen], labels[chosen], teacher_logits[chosen]


@dataclasses.dataclass(frozen=True, kw_only=True)
class KPIData:
    """The data that a KPI of the user's own gets beside the model; all tensors are on the model's device."""

    images: ScoredSet
    """Normalised float32 batches of pictures, [B, K, H, W], in the order of `labels`; can be iterated repeatedly. For
    a task of the user's own they are batches of its inputs."""
    labels: Any
    """Int64 [N], in [0, C); of a task, its labels."""
    logits: Any
    """The model's logits on these pictures, float32 [N, C]; computed already, so that most KPIs cost nothing. Of a
    task, the model's outputs."""
    teacher_logits: Any
    """The teacher's logits on these pictures, float32 [N, C]; of a task, the teacher's outputs."""
    classes: tuple[str, ...]
    """The classes' names, in the order of the logits."""


class Evaluation(NamedTuple):
    """The results of a network on one set: the scores that are always measured, and the user's own KPIs by name."""

    scores: SetScore
    own_kpis: dict[str, float]
    samples: Mapping[str, SampleValues] = MappingProxyType({})
    """The values on each picture, by metric: under `accuracy` whether the model is right, and each of the user's KPIs
    that returns one value a picture. Empty unless asked for."""


def evaluate(
    model: nn.Module, pictures: ScoredSet, own_kpis: Sequence[OwnKPI] = (), *, by_sample: bool = False
) -> Evaluation:
    """Evaluate a model; it is left in evaluation mode.

    Args:
        model: maps normalised images [B, K, H, W] to logits [B, C].
        pictures: the set.
        own_kpis: the user's own KPIs.
        by_sample: whether to keep the results on each picture.

    Raises:
        ConfigError: one of the user's KPIs fails.
    """
    model.eval()
    return _evaluation(pictures, pictures.logits(model), model, own_kpis, by_sample=by_sample)


def figures_of_outputs(samples: ScoredSet, outputs: Any) -> Evaluation:
    """Evaluate a network whose outputs on the set are known already: the scores and the task's metrics."""
    return _evaluation(samples, outputs, None, (), by_sample=False)


def _evaluation(
    pictures: ScoredSet, logits: Any, model: nn.Module | None, own_kpis: Sequence[OwnKPI], *, by_sample: bool
) -> Evaluation:
    scores = pictures.score(logits)
    measured = pictures.metrics(logits)
    if own_kpis and model is not None:
        measured |= _measure(own_kpis, model, pictures, logits)
    values = {name: kpi.value for name, kpi in measured.items()}
    if not by_sample:
        return Evaluation(scores, values)
    right = pictures.right(logits)
    samples = {} if right is None else {ACCURACY: SampleValues.of(right.cpu().numpy())}
    by_kpi = {name: SampleValues.of(kpi.samples) for name, kpi in measured.items() if kpi.samples is not None}
    return Evaluation(scores, values, samples | by_kpi)


def accuracy_of(logits: Tensor, labels: Tensor) -> float:
    """Return the share of samples whose highest logit is their label's, in [0, 1]: logits [N, C], labels int64 [N]."""
    return float((logits.argmax(dim=1) == labels).double().mean())


def score_logits(logits: Tensor, labels: Tensor, teacher_logits: Tensor | None = None) -> SetScore:
    """Compute accuracy, cross entropy, calibration error and agreement with the teacher.

    Args:
        logits: float32 [N, C], N at least 1.
        labels: int64 [N].
        teacher_logits: float32 [N, C]; None for the teacher itself, which then has no agreement.
    """
    predicted = logits.argmax(dim=1)
    figures = [
        (predicted == labels).double().mean(),
        nn.functional.cross_entropy(logits, labels, reduction="none").double().mean(),
        _calibration_error(logits, labels),
    ]
    figures += [measure(logits, labels).double() for measure in MORE.values()]
    if teacher_logits is not None:
        figures.append((predicted == teacher_logits.argmax(dim=1)).double().mean())
    accuracy, loss, calibration_error, *others = torch.stack(figures).tolist()
    return SetScore(
        accuracy=accuracy,
        loss=loss,
        calibration_error=calibration_error,
        agreement=None if teacher_logits is None else others.pop(),
        more=dict(zip(MORE, others, strict=True)),
    )


def _balanced_accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean over the classes of the share of their pictures that are classified correctly, a scalar.

    Classes without a picture do not count. (Brodersen et al. 2010, doi 10.1109/ICPR.2010.764)
    """
    zeros = torch.zeros(logits.shape[1], device=logits.device, dtype=torch.float64)
    pictures = zeros.index_add(0, labels, torch.ones_like(labels, dtype=torch.float64))
    right = zeros.index_add(0, labels, (logits.argmax(dim=1) == labels).double())
    return (right / pictures.clamp(min=1.0)).sum() / (pictures > 0).sum()


MORE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"balanced_accuracy": _balanced_accuracy}
"""Further figures of a student on a set of pictures, by name: functions of float32 logits [N, C] and int64 labels [N]
that return a scalar tensor. A new one is an entry here and one in `search.metrics`, and needs no other change."""


def _calibration_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute the expected calibration error, a scalar (Guo et al. 2017, arXiv 1706.04599, eq. 3).

    Pictures fall into bins (i/15, (i+1)/15] by the confidence in the predicted class. The error is the mean over the
    bins, weighted by their pictures, of |accuracy − confidence|. It is NaN if a confidence is NaN.
    """
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    edges = torch.arange(1, BINS, device=logits.device, dtype=torch.float64) / BINS
    gaps = (predicted == labels).double() - confidence
    by_bin = torch.zeros(BINS, device=logits.device, dtype=torch.float64)
    return by_bin.index_add_(0, torch.bucketize(confidence, edges), gaps).abs().sum() / len(labels)


def try_out(own_kpis: Sequence[OwnKPI], model: nn.Module, dataset: Dataset) -> None:
    """Measure KPIs once, before anything is trained: on an untrained student and a few validation pictures a class.

    A made-up teacher that is sure of the labels replaces the true one.

    Raises:
        ConfigError: a KPI fails, or gives no finite number.
    """
    if not own_kpis:
        return
    labels = dataset.validation.labels
    few = np.concatenate([np.flatnonzero(labels == label)[:_FEW] for label in range(len(dataset.classes))])
    split = dataset.validation.subset(np.sort(few))
    pictures = EvaluationSet(
        images=as_tensor(split.images[:]),
        labels=as_tensor(split.labels),
        teacher_logits=10.0 * nn.functional.one_hot(as_tensor(split.labels), len(dataset.classes)).float(),
        classes=dataset.classes,
        mean=as_tensor(dataset.mean),
        std=as_tensor(dataset.std),
        compute=Compute(torch.device("cpu"), bfloat16=False),
    )
    values = evaluate(model, pictures, own_kpis).own_kpis
    for kpi in own_kpis:
        if not math.isfinite(values[kpi.name]):
            raise ConfigError(
                f"the KPI {kpi.origin} must be finite for every student, but is {values[kpi.name]} for an untrained one"
                f" on {len(split)} validation pictures; let it return a number there, too (for example 0 where"
                " nothing is counted)."
            )


def _measure(own_kpis: Sequence[OwnKPI], model: nn.Module, pictures: ScoredSet, logits: Any) -> dict[str, Measured]:
    """Measure every KPI on copies and with the same random numbers, so that no KPI affects anything else."""
    device = next(model.parameters()).device
    values = {}
    for kpi in own_kpis:
        # Copies, because Ray maps the labels of all trials read-only: a KPI that writes to them would end the process.
        own = pictures.copied()
        data = KPIData(
            images=own,
            labels=own.labels,
            logits=map_tree(Tensor.clone, logits),
            teacher_logits=own.teacher_logits,
            classes=pictures.classes,
        )
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad():
            torch.manual_seed(0)
            values[kpi.name] = kpi.measure(copy.deepcopy(model), data)
    return values
