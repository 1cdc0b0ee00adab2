"""Begins trainings of any kind: on pictures, of a user's task, or of a user's function."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from trainables.config import TrialSettings
from trainables.device import Compute
from trainables.functions import FunctionAssets, FunctionPlace, FunctionTraining
from trainables.pictures import TrialAssets
from trainables.records import TracePoint
from trainables.tasks import TaskAssets
from trainables.training import Distillation, Training, TrainingData, data_on_device

Assets: TypeAlias = TrialAssets | TaskAssets | FunctionAssets
"""The data or the function that all trials of a search share; read-only."""


def prepared_on(assets: Assets, compute: Compute, *, save_seconds: float = 0.0) -> TrainingData | FunctionPlace:
    """Prepare what trainings read for a device.

    Args:
        assets: of the search.
        compute: the device and the precision.
        save_seconds: the least time between two snapshots of a training function.
    """
    if isinstance(assets, FunctionAssets):
        return FunctionPlace(assets=assets, compute=compute, save_seconds=save_seconds)
    return data_on_device(assets, compute)


def begin_training(
    settings: TrialSettings,
    data: TrainingData | FunctionPlace,
    watch: Callable[[int, TracePoint], None] | None = None,
) -> Training:
    """Begin a training in the search.

    Args:
        settings: the trial.
        data: what it reads, on its device.
        watch: called with each seed and its own points of the trace.
    """
    if isinstance(data, FunctionPlace):
        return FunctionTraining(settings, data, watch)
    return Distillation(settings, data, watch)
