"""The teacher: read from the user's checkpoint, or trained once and kept. Importing this loads no torch."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from policies.errors import nearest
from trainables.config import TeacherSettings
from trainables.errors import CheckpointError, ConfigError
from trainables.models import check_model
from trainables.settings import identity_of
from trainables.teacher.progress import COUNTER, MODEL_SECTION, TeacherListener

if TYPE_CHECKING:
    from torch import nn

    from trainables.device import Compute
    from trainables.pictures import Dataset

_FORMAT = 1  # version of the keys and of the files in the cache; raised when training changes


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teacher:
    """A teacher that is ready for use."""

    module: nn.Module
    """The network in evaluation mode, without gradients: normalised float32 pictures [N, K, H, W] to logits [N, C]."""
    parameters: int
    key: str
    """A digest of all settings and data that made the teacher, but not of the device: 64 hexadecimal digits."""
    remarks: tuple[str, ...] = ()
    """Sentences on what was chosen in a checkpoint, for the user."""

    @functools.cached_property
    def weights(self) -> str:
        """A digest of the weights themselves: 64 hexadecimal digits.

        `key` alone does not identify the weights: another kind of device gives other weights from the same settings,
        and a file can be replaced by another of its name.
        """
        import torch

        digest = hashlib.sha256()
        for name, tensor in self.module.state_dict().items():
            if name.endswith(COUNTER):
                continue
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)} ".encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.hexdigest()


def check_teacher(settings: TeacherSettings) -> None:
    """Check a teacher's settings before any work starts; reads no weights.

    Raises:
        ModelError: no model has its name.
        ConfigError: an option of its model is unknown or invalid.
        CheckpointError: there is no file where the checkpoint should be.
    """
    check_model(settings.model, MODEL_SECTION)
    if settings.model.checkpoint is not None:
        from trainables.checkpoints import check_initial_weights

        check_initial_weights(settings.model, MODEL_SECTION)
    if settings.checkpoint is not None and not Path(settings.checkpoint).expanduser().is_file():
        raise CheckpointError(
            f"the teacher's `checkpoint` must be a file, but there is none at {settings.checkpoint!r}; correct the"
            " path, or give `training` instead."
        )


def prepare_teacher(
    settings: TeacherSettings,
    dataset: Dataset,
    *,
    cache: Path,
    compute: Compute,
    progress: TeacherListener | None = None,
) -> Teacher:
    """Return the teacher on its device: from its checkpoint, from `cache`, or trained on `dataset.pool` and put there.

    The same settings, data and kind of device give the same teacher. torch's global random state does not change.

    Args:
        settings: model, and checkpoint or training.
        dataset: the teacher sees `pool`.
        cache: folder of trained teachers, made if it does not exist; a damaged file in it is replaced.
        compute: device and precision of the training; the module is on this device afterwards.
        progress: called while it trains.

    Raises:
        CheckpointError: the checkpoint cannot be read or does not fit the model or the classes, or the cache cannot be
            written.
        ModelError, ConfigError: as `create_model`; also ModelError if training diverges, and ConfigError if a class of
            `unseen_classes` is not in the data set, or fewer than two are left.
    """
    import torch

    from trainables.teacher import network as teacher_network
    from trainables.teacher import training as teacher_training

    check_teacher(settings)
    if settings.checkpoint is None:
        check_unseen_classes(settings, dataset.classes)
        key = _training_key(settings, dataset)
        module, remarks = teacher_training.trained_module(settings, dataset, cache / f"{key}.pt", compute, progress)
    else:
        path = Path(settings.checkpoint).expanduser()
        key = _checkpoint_key(settings, path, dataset)
        with torch.random.fork_rng(devices=[]):
            module, remarks = teacher_network.create_teacher(settings, dataset)
    # The same layout in all cases, because the order of sums, and so the last bits, depend on it.
    module.eval().requires_grad_(False).to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Teacher(
        module=module,
        parameters=sum(parameter.numel() for parameter in module.parameters()),
        key=key,
        remarks=remarks,
    )


def check_unseen_classes(settings: TeacherSettings, classes: Sequence[str]) -> None:
    """Raise ConfigError if a class of `unseen_classes` is not in `classes`, or fewer than two of these are left."""
    for name in settings.unseen_classes:
        if name not in classes:
            raise ConfigError(
                f"`teacher.unseen_classes` must name classes of the data set ({', '.join(classes)}), but got {name!r}."
                f"{nearest(name, classes)}"
            )
    left = len(set(classes) - set(settings.unseen_classes))
    if left < 2:
        raise ConfigError(
            f"`teacher.unseen_classes` must leave the teacher two classes at least, but leaves {left}; remove some."
        )


def _training_key(settings: TeacherSettings, dataset: Dataset) -> str:
    from trainables.datasets import dataset_fingerprint

    assert settings.training is not None
    return _hash(
        {
            "model": settings.model.name,
            "options": identity_of(check_model(settings.model)),
            "training": identity_of(settings.training),
            "augmentation": settings.augmentation.identity if settings.augmentation.active else None,
            "seed": settings.seed,
            "data": dataset_fingerprint(dataset),
            **_own_parts(settings),
            # Left out where there are none, so that teachers kept by earlier releases are found.
            **({"unseen_classes": sorted(set(settings.unseen_classes))} if settings.unseen_classes else {}),
        }
    )


def _checkpoint_key(settings: TeacherSettings, path: Path, dataset: Dataset) -> str:
    return _hash(
        {
            "model": settings.model.name,
            "options": identity_of(check_model(settings.model)),
            "checkpoint": _file_digest(path),
            "normalisation": [dataset.mean.tolist(), dataset.std.tolist()],
            **_own_parts(settings),
            **({} if settings.weights is None else {"weights": settings.weights}),
        }
    )


def _own_parts(settings: TeacherSettings) -> dict[str, object]:
    """Return what further decides a teacher: empty without these settings, so that earlier teachers are found."""
    found: dict[str, object] = {}
    if settings.model.source:
        found["source"] = settings.model.source
    if settings.model.checkpoint is not None:
        found["initial"] = _file_digest(Path(settings.model.checkpoint).expanduser())
    if isinstance(settings.normalization, str):
        found["own_normalisation"] = settings.normalization
    elif settings.normalization is not None:
        found["own_normalisation"] = settings.normalization.model_dump()
    return found


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise CheckpointError(f"the teacher's `checkpoint` {str(path)!r} cannot be read ({error}).") from error


def _hash(content: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps({"format": _FORMAT, **content}, sort_keys=True).encode()).hexdigest()
