"""A trained network that takes pictures as they are stored, and its file.

N: pictures; K: channels; H, W: height and width; C: classes.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainables.config import ModelSettings, is_own
from trainables.errors import CheckpointError, ConfigError
from trainables.models import create_model, own_constructor
from trainables.pictures import PictureFormat, normalise

_FORMAT = "kd-classifier"
_VERSION = 1


class Classifier(nn.Module):
    """A network with the normalisation that it was trained under, so that callers need not apply it themselves.

    Args:
        settings: the network's name and options.
        pictures: what it was trained on.
        network: the network itself; created from the settings if None.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, settings: ModelSettings, pictures: PictureFormat, network: nn.Module | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.pictures = pictures
        if network is None:
            with torch.random.fork_rng(devices=[]):
                network = create_model(settings, image_shape=pictures.shape, classes=len(pictures.classes))
        self.network = network
        self.register_buffer("mean", torch.tensor(pictures.mean, dtype=torch.float32), persistent=False)
        self.register_buffer("std", torch.tensor(pictures.std, dtype=torch.float32), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, float32 [N, C], of pictures as stored: uint8 [N, K, H, W], or floats in 0..255."""
        logits: Tensor = self.network(normalise(images, self.mean, self.std))
        return logits

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, in the order of the logits."""
        return self.pictures.classes


def restore_classifier(settings: ModelSettings, pictures: PictureFormat, weights: bytes) -> Classifier:
    """Restore a classifier from a `state_dict` that `torch.save` wrote; in evaluation mode, on the CPU.

    Raises:
        CheckpointError: the weights cannot be read or are not those of this network.
    """
    classifier = Classifier(settings, pictures)
    try:
        classifier.network.load_state_dict(torch.load(io.BytesIO(weights), map_location="cpu", weights_only=True))
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"the student's weights cannot be read, or do not fit the model {settings.name!r}:"
            f" {_first_line(error)}. Confirm the search again."
        ) from error
    return classifier.eval()


def classifier_bytes(classifier: Classifier) -> bytes:
    """Return what `load_classifier` reads: the weights, the network's settings and the format of its pictures.

    The text of a network of the user's own is left out, so that reading the file runs no code.
    """
    stream = io.BytesIO()
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "model": classifier.settings.model_dump(mode="json", include={"name", "options"}),
        "pictures": classifier.pictures.model_dump(mode="json"),
        "weights": classifier.network.state_dict(),
    }
    torch.save(content, stream)
    return stream.getvalue()


def load_classifier(path: str | Path, network: nn.Module | None = None) -> Classifier:
    """Return the classifier in a file such as `champion/student.pt`; in evaluation mode, on the CPU.

    The file is read without running code in it.

    Args:
        path: the file.
        network: a new network of the user's own class, where the student is one; its weights are replaced.

    Raises:
        CheckpointError: the file is missing or damaged, or no classifier of this version, or its network is not given.
    """
    remedy = "give a `student.pt` that `kd-search confirm` wrote"
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{str(path)!r} cannot be read ({_first_line(error)}); {remedy}.") from error
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise CheckpointError(f"{str(path)!r} is not a classifier of kd-policy-search; {remedy}.")
    if content.get("version") != _VERSION:
        raise CheckpointError(
            f"{str(path)!r} has version {content.get('version')!r}, but this release reads version {_VERSION}; install"
            " the release of kd-policy-search that wrote it."
        )
    try:
        settings = ModelSettings.parse(content["model"])
        pictures = PictureFormat.parse(content["pictures"])
        if network is None and is_own(settings.name):
            raise CheckpointError(
                f"{str(path)!r} holds the weights of {settings.name}, a network of your own, so it must be given:"
                f" load_classifier(path, {own_constructor(settings, pictures.shape, len(pictures.classes))})."
            )
        classifier = Classifier(settings, pictures, network)
        classifier.network.load_state_dict(content["weights"])
    except (KeyError, RuntimeError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{str(path)!r} is damaged ({_first_line(error)}); {remedy}.") from error
    return classifier.eval()


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
