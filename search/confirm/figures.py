"""Measures teacher and student for a confirmation, beside the finalists' scores."""

from __future__ import annotations

import io
from typing import Any

import torch
from torch import nn

from search.prepare import Ground
from search.records import ConfirmationRecord
from search.settings import SearchConfig
from trainables.config import DeviceSettings
from trainables.device import select_compute
from trainables.evaluation import evaluate, figures_of_outputs
from trainables.exports import with_onnx
from trainables.functions import FunctionAssets, load_function
from trainables.models import Example, create_model, measure_figures, pictures_like
from trainables.records import ModelFigures
from trainables.tasks import TaskAssets, TaskNetwork, create_task, example_of, map_tree
from trainables.training import data_on_device, scored_set


def teacher_on_test(record: ConfirmationRecord, ground: Ground, config: SearchConfig) -> ConfirmationRecord:
    """Add the teacher's scores on the test samples to a confirmation.

    Raises:
        ConfigError: a KPI of the user's own, or a metric of a task, fails.
    """
    pictures, own_kpis = ground.pictures, config.base_trial().own_kpis
    assert pictures.test is not None
    assert not isinstance(pictures.assets, FunctionAssets)  # a function's teacher is known to the function only
    data = data_on_device(pictures.assets, select_compute(DeviceSettings(device="cpu")))
    test = scored_set(data, pictures.test, pictures.test_targets)
    # Its outputs are known; it is run again only where a KPI of the user's own wants it.
    found = figures_of_outputs(test, test.teacher_logits)
    scores = found.scores.model_copy(update={"agreement": None})
    measured = dict(found.own_kpis)
    if own_kpis and ground.teacher is not None:
        measured |= evaluate(ground.teacher, test, own_kpis).own_kpis
    return record.model_copy(update={"teacher": scores, "teacher_kpis": measured})


def with_figures(
    record: ConfirmationRecord, ground: Ground, config: SearchConfig, module: bytes | None
) -> ConfirmationRecord:
    """Add what teacher and student cost, measured on this machine; takes some seconds.

    Args:
        record: the confirmation.
        ground: its ground.
        config: the search.
        module: a student of a training function with an example of its inputs; None if it kept none.
    """
    assets = ground.pictures.assets
    if isinstance(assets, FunctionAssets):
        return record if module is None else _with_figures_of(record, assets, module)
    settings = config.students[record.finalists[0].student]
    teacher: ModelFigures | None
    if isinstance(assets, TaskAssets):
        task, example = create_task(assets.task, **settings.options), example_of(assets.validation)
        student = _measured(TaskNetwork(task), example)
        teacher = None if ground.teacher is None else measure_figures(TaskNetwork(task, ground.teacher), example)
    else:
        assert ground.teacher is not None  # pictures have a network that teaches
        teacher = measure_figures(ground.teacher, assets.image_shape)
        network = create_model(settings, image_shape=assets.image_shape, classes=len(assets.classes))
        student = _measured(network, assets.image_shape)
    return record.model_copy(update={"teacher_figures": teacher, "student_figures": student})


def _with_figures_of(record: ConfirmationRecord, assets: FunctionAssets, module: bytes) -> ConfirmationRecord:
    load_function(assets.function)  # the student's class is in that file
    student, example = torch.load(io.BytesIO(module), map_location="cpu", weights_only=False)

    def inputs(count: int, device: torch.device) -> Any:
        return map_tree(lambda one: one[:1].expand(count, *one.shape[1:]).contiguous().to(device), example)

    return record.model_copy(update={"student_figures": _measured(student, inputs)})


def _measured(network: nn.Module, like: tuple[int, int, int] | Example) -> ModelFigures:
    """Measure a student with PyTorch, and with onnxruntime if it is installed."""
    example = pictures_like(like) if isinstance(like, tuple) else like
    return with_onnx(measure_figures(network, like), network, example)
