"""Builds a teacher's network with the weights that it begins with, and with its normalisation."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from trainables.checkpoints import read_initial_weights
from trainables.config import TeacherSettings
from trainables.models import create_model
from trainables.pictures import Dataset
from trainables.teacher.checkpoint import restore_weights
from trainables.teacher.normalization import OwnNormalization, constants_of
from trainables.teacher.progress import MODEL_SECTION


def create_teacher(settings: TeacherSettings, dataset: Dataset) -> tuple[nn.Module, tuple[str, ...]]:
    """Create the teacher's network on the CPU, with random numbers from PyTorch's global generator.

    It takes pictures [N, K, H, W] that are normalised by the data's constants, whatever its own constants are.

    Returns:
        The network: with the weights of `checkpoint`, else of `model.checkpoint`, else random ones; and sentences on
        what was chosen in the file.

    Raises:
        CheckpointError: a file cannot be read, or does not fit the model or the classes.
        ModelError, ConfigError: as `create_model`; also ConfigError if constants are for another number of channels.
    """
    classes, remarks = len(dataset.classes), tuple[str, ...]()
    network = create_model(settings.model, image_shape=dataset.image_shape, classes=classes, section=MODEL_SECTION)
    if settings.checkpoint is not None:
        remarks = restore_weights(network, settings, Path(settings.checkpoint).expanduser(), classes)
    elif settings.model.checkpoint is not None:
        fitted = read_initial_weights(settings.model, network.state_dict(), MODEL_SECTION)
        network.load_state_dict(fitted.tensors, strict=False)
        remarks = fitted.remarks
    if settings.normalization is None:
        return network, remarks
    constants = constants_of(settings.normalization, dataset.image_shape[0])
    return OwnNormalization(network, constants, dataset), remarks
