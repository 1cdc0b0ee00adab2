"""Prepares the students of a search on pictures: tries out those of the user's own, and reads pretrained weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from search.settings import SearchConfig
from trainables.checkpoints import Fitted, read_initial_weights
from trainables.config import ModelSettings, is_own
from trainables.evaluation import try_out
from trainables.models import check_batch_of_one, create_model, try_out_own_model
from trainables.pictures import Dataset, InitialWeights


def check_students(config: SearchConfig, dataset: Dataset) -> tuple[str, ...]:
    """Check once, before every training, that students fit the data, and KPIs the students.

    Returns:
        Sentences on what was chosen in files of pretrained weights, for the user.

    Raises:
        KDPolicySearchError: something does not fit.
    """
    remarks: list[str] = []
    for name, settings in config.students.items():
        section = config.student_sections[name]
        if is_own(settings.name):
            try_out_own_model(settings, dataset.image_shape, len(dataset.classes), section)
        student = _student(settings, dataset, section)
        if settings.checkpoint is not None:
            remarks += read_initial_weights(settings, student.state_dict(), section).remarks
        if min(config.training.batch_size, len(dataset.train)) == 1:
            check_batch_of_one(student, dataset.image_shape, section=section, training="training")
        try_out(config.kpis, student, dataset)
    return tuple(remarks)


def initial_weights(config: SearchConfig, dataset: Dataset) -> Mapping[str, InitialWeights]:
    """Read the pretrained students' weights, by the student's settings as JSON; empty if all begin with random ones.

    Raises:
        CheckpointError: a file cannot be read, or does not fit.
    """
    found = {}
    for name, settings in config.students.items():
        if settings.checkpoint is not None:
            section = config.student_sections[name]
            fitted = read_initial_weights(settings, _student(settings, dataset, section).state_dict(), section)
            found[settings.model_dump_json()] = _arrays(fitted)
    return found


def add_weights(digest: hashlib._Hash, initial: Mapping[str, InitialWeights]) -> None:
    """Add pretrained weights to a digest; nothing if there are none."""
    for weights in initial.values():
        for name, array in weights.items():
            digest.update(f"{name} {array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data)


def _student(settings: ModelSettings, dataset: Dataset, section: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        return create_model(settings, image_shape=dataset.image_shape, classes=len(dataset.classes), section=section)


def _arrays(fitted: Fitted) -> InitialWeights:
    return {
        name: tensor.detach().float().numpy() if tensor.is_floating_point() else tensor.numpy()
        for name, tensor in fitted.tensors.items()
    }
