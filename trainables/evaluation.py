"""How good a network is on one set of pictures: the one place where accuracy and its kin are computed.

N: pictures of the set; B: pictures of a batch; K: channels; H, W: height and width; C: classes.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
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
"""Of the calibration error."""
_BATCH = 1024
_BATCH_ON_CPU = 256  # a quarter of the memory, as fast where freed memory is kept, and 1.5 times as fast elsewhere
_FEW = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluationSet:
    """Pictures, their labels and the teacher's logits, on one device. Iterating gives the pictures in batches.

    A batch is as a network takes it: normalised float32 [B, K, H, W], in the order of `labels`; B is 1024 at most, on a
    CPU 256.
    """

    images: StoredImages
    """As stored: uint8 [N, K, H, W]; too many for memory are read in parts."""
    labels: Tensor
    """Int64 [N], in [0, C)."""
    teacher_logits: Tensor
    """Float32 [N, C]."""
    classes: tuple[str, ...]
    mean: Tensor
    """Of the channels, in stored units, float32 [K]; so is `std`."""
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
        """What a model in evaluation mode says of the pictures, float32 [N, C], without gradients."""
        # In one piece from the start: small pieces, kept while large blocks come and go, split the memory up.
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
    """What a KPI of the user's own gets beside the model; all tensors are on the model's device."""

    images: EvaluationSet
    """To be gone through as often as one likes: normalised float32 batches [B, K, H, W] in the order of `labels`."""
    labels: Tensor
    """Int64 [N], in [0, C)."""
    logits: Tensor
    """What the model says of these pictures, float32 [N, C]: computed already, so that most KPIs cost nothing."""
    teacher_logits: Tensor
    """What the teacher says of them, float32 [N, C]."""
    classes: tuple[str, ...]
    """The classes' names, in the order of the logits."""


class Evaluation(NamedTuple):
    """A network on one set: what is always measured, and the user's own KPIs by name."""

    scores: SetScore
    own_kpis: dict[str, float]
    samples: Mapping[str, SampleValues] = MappingProxyType({})
    """By metric, its value on each picture: whether the model is right as `accuracy`, and each of the user's KPIs that
    returns one value a picture. Empty unless asked for."""


def evaluate(
    model: nn.Module, pictures: EvaluationSet, own_kpis: Sequence[OwnKPI] = (), *, by_sample: bool = False
) -> Evaluation:
    """Judge a model; it is left in evaluation mode.

    Args:
        model: maps normalised images [B, K, H, W] to logits [B, C].
        pictures: the set.
        own_kpis: the user's.
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
    """Accuracy, cross entropy, calibration error and agreement with the teacher.

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
    if teacher_logits is not None:
        figures.append((predicted == teacher_logits.argmax(dim=1)).double().mean())
    accuracy, loss, calibration_error, *agreement = torch.stack(figures).tolist()
    return SetScore(
        accuracy=accuracy,
        loss=loss,
        calibration_error=calibration_error,
        agreement=agreement[0] if agreement else None,
    )


def _calibration_error(logits: Tensor, labels: Tensor) -> Tensor:
    """Expected calibration error, a scalar (Guo et al. 2017, arXiv 1706.04599, eq. 3).

    Pictures fall into bins (i/15, (i+1)/15] by the confidence in the predicted class. The error is the mean over the
    bins, weighted by their pictures, of |accuracy − confidence|. NaN where a confidence is.
    """
    confidence, predicted = logits.double().softmax(dim=1).max(dim=1)
    edges = torch.arange(1, BINS, device=logits.device, dtype=torch.float64) / BINS
    gaps = (predicted == labels).double() - confidence
    by_bin = torch.zeros(BINS, device=logits.device, dtype=torch.float64)
    return by_bin.index_add_(0, torch.bucketize(confidence, edges), gaps).abs().sum() / len(labels)


def try_out(own_kpis: Sequence[OwnKPI], model: nn.Module, dataset: Dataset) -> None:
    """Measure KPIs once, before anything is trained: on an untrained student and a few validation pictures a class.

    A made-up teacher, who is sure of the labels, stands in for the true one.

    Raises:
        ConfigError: one fails, or gives no finite number.
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
                f" on {len(split)} validation pictures; let it return a number there, too (0 where nothing is counted,"
                " say)."
            )


def _measure(
    own_kpis: Sequence[OwnKPI], model: nn.Module, pictures: EvaluationSet, logits: Tensor
) -> dict[str, Measured]:
    """Every KPI on copies and with the same random numbers, so that none has an effect on anything."""
    device = logits.device
    values = {}
    for kpi in own_kpis:
        # Writing to the labels as all trials share them would end the process: Ray maps them read-only.
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
