"""Measures how good a network is on one set of pictures; accuracy and related scores of a set are computed here only.

N: pictures of the set; B: pictures of a batch; K: channels; H, W: height and width; C: classes.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from trainables.config import Measured, OwnKPI
from trainables.device import Compute
from trainables.errors import ConfigError
from trainables.models import folded
from trainables.pictures import Dataset, StoredImages, as_tensor, normalise
from trainables.records import ACCURACY, SampleValues, SetScore

BINS = 15
"""The number of bins of the calibration error."""
_BATCH = 1024
_BATCH_ON_CPU = 256  # a quarter of the memory; as fast where freed memory is kept, elsewhere 1.5 times as fast
_FEW = 4


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


@dataclasses.dataclass(frozen=True, kw_only=True)
class KPIData:
    """The data that a KPI of the user's own gets beside the model; all tensors are on the model's device."""

    images: EvaluationSet
    """Normalised float32 batches of pictures, [B, K, H, W], in the order of `labels`; can be iterated repeatedly."""
    labels: Tensor
    """Int64 [N], in [0, C)."""
    logits: Tensor
    """The model's logits on these pictures, float32 [N, C]; computed already, so that most KPIs cost nothing."""
    teacher_logits: Tensor
    """The teacher's logits on these pictures, float32 [N, C]."""
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
    model: nn.Module, pictures: EvaluationSet, own_kpis: Sequence[OwnKPI] = (), *, by_sample: bool = False
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
    logits = pictures.logits(model)
    scores = score_logits(logits, pictures.labels, pictures.teacher_logits)
    measured = _measure(own_kpis, model, pictures, logits) if own_kpis else {}
    values = {name: kpi.value for name, kpi in measured.items()}
    if not by_sample:
        return Evaluation(scores, values)
    right = (logits.argmax(dim=1) == pictures.labels).cpu().numpy()
    by_kpi = {name: SampleValues.of(kpi.samples) for name, kpi in measured.items() if kpi.samples is not None}
    return Evaluation(scores, values, {ACCURACY: SampleValues.of(right), **by_kpi})


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


def _measure(
    own_kpis: Sequence[OwnKPI], model: nn.Module, pictures: EvaluationSet, logits: Tensor
) -> dict[str, Measured]:
    """Measure every KPI on copies and with the same random numbers, so that no KPI affects anything else."""
    device = logits.device
    values = {}
    for kpi in own_kpis:
        # Copies, because Ray maps the labels of all trials read-only: a KPI that writes to them would end the process.
        own = dataclasses.replace(
            pictures, labels=pictures.labels.clone(), teacher_logits=pictures.teacher_logits.clone()
        )
        data = KPIData(
            images=own,
            labels=own.labels,
            logits=logits.clone(),
            teacher_logits=own.teacher_logits,
            classes=pictures.classes,
        )
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), torch.no_grad():
            torch.manual_seed(0)
            values[kpi.name] = kpi.measure(copy.deepcopy(model), data)
    return values
