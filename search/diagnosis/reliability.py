"""Measures how far the teacher and the labels of a classification can be trusted, before any training.

N: samples; C: classes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from policies.update.reliability import BINS, Answers
from search.diagnosis.record import Agreement, Rate, Reliability
from trainables.config import TrialSettings
from trainables.evaluation import figures_of_outputs, labelled
from trainables.tasks import is_masked
from trainables.training import Replicate, TaskData, TrainingData

_FEWEST = 5
"""Classes with fewer samples do not enter the test of classes, as is usual for χ²."""


def measure_reliability(settings: TrialSettings, data: TrainingData) -> Reliability | None:
    """Count the agreement of teacher and labels on both sets; None if the samples have no classes.

    Training samples are counted in one epoch's batches, as a training gets them: with what a corruption exchanges, and
    in the views that the teacher saw.
    """
    data = data.for_trial(settings)
    task = data.task if isinstance(data, TaskData) else None
    if task is not None and not task.classification:
        return None
    replicate = Replicate(settings, settings.seeds[0], data, data.augmentation(settings.augmentation))
    held_out = data.validation
    names = tuple(held_out.classes)

    def counted(labels: Tensor, targets: Tensor, *, masked: bool) -> Tensor:
        if task is not None:
            _, labels, targets = labelled(task, targets, labels, targets, masked=masked)
        confidence, answer = targets.float().softmax(1).max(1)
        return Answers(labels, answer, confidence, targets.shape[1]).counts()[0].cpu()

    masked = isinstance(data, TaskData) and is_masked(data.labels)
    with torch.no_grad():
        batches = replicate.batches_in(replicate.order_of(0), 0)
        train = torch.stack([counted(batch.labels, batch.targets, masked=masked) for batch in batches]).sum(0)
        masked = task is not None and is_masked(held_out.labels)
        validation = counted(held_out.labels, held_out.teacher_logits, masked=masked)
        figures = figures_of_outputs(held_out, held_out.teacher_logits).scores
    return Reliability(
        train=_agreement(train, names),
        validation=_agreement(validation, names),
        calibration_error=figures.calibration_error,
    )


def _agreement(counts: Tensor, names: tuple[str, ...]) -> Agreement:
    """Turn counts, [2, 2C + BINS], of samples that agree and of all into rates."""
    agreed, seen = counts.double().numpy()
    classes = len(names)
    bins = [f"{bin_ / BINS:.1f} to {(bin_ + 1) / BINS:.1f}" for bin_ in range(BINS)]
    total = float(seen[:classes].sum())

    def rates(groups: tuple[str, ...], start: int) -> tuple[Rate, ...]:
        places = range(start, start + len(groups))
        return tuple(
            Rate(group=group, samples=float(seen[at]), agreement=float(agreed[at] / max(seen[at], 1.0)))
            for group, at in zip(groups, places, strict=True)
        )

    return Agreement(
        samples=total,
        agreement=float(agreed[:classes].sum()) / max(total, 1.0),
        by_class=rates(names, 0),
        by_confidence=tuple(rate for rate in rates(tuple(bins), 2 * classes) if rate.samples),
        p_class=_p_value(agreed[:classes], seen[:classes]),
    )


def _p_value(agreed: np.ndarray, seen: np.ndarray) -> float | None:
    from scipy import stats

    known = seen >= _FEWEST
    table = np.stack([agreed[known], (seen - agreed)[known]])
    if known.sum() < 2:
        return None
    return 1.0 if (table.sum(1) == 0).any() else float(stats.chi2_contingency(table).pvalue)
