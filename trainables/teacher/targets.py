"""The teacher's outputs, computed once for all trials.

N: training pictures; V: views of each; M: validation pictures; C: classes; K: channels; H, W: height and width.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from trainables.config import AugmentationSettings
from trainables.errors import ModelError
from trainables.evaluation import accuracy_of
from trainables.pictures import Dataset, Images, TrialAssets, as_tensor, normalise
from trainables.teacher.target_cache import TargetCache, targets
from trainables.training import PictureViews, compute_views, create_views

if TYPE_CHECKING:
    from trainables.teacher.prepare import Teacher

_BATCH = 256


def compute_assets(
    dataset: Dataset,
    teacher: Teacher,
    augmentation: AugmentationSettings,
    device: torch.device,
    cache: Path | None = None,
) -> TrialAssets:
    """Compute what trials read: the pictures, and the teacher's logits on all their views, [V, N, C], and on [M, C].

    The logits of the views are float16 where they are many; see `trainables.teacher.target_cache`.

    Args:
        dataset: pictures.
        teacher: the teacher whose outputs are computed.
        augmentation: the students' augmentation.
        device: the device that the teacher computes on.
        cache: folder in which the outputs are kept and looked for; None to compute them in any case.

    Raises:
        ModelError: the teacher gives logits that are not finite.
        ConfigError, DataError: as `compute_views`.
    """
    train, validation = dataset.train.images, dataset.validation.images
    kept = None
    if cache is not None:
        kept = TargetCache(
            folder=cache,
            teacher=teacher.key,
            weights=teacher.weights,
            device=device.type,
            precision=output_precision(device.type),
        )
    own = None if augmentation.function is None else compute_views(augmentation, train)
    views = create_views(augmentation, len(train), own, mean=dataset.mean, device=device)
    train_targets = targets(
        None if kept is None else kept.path(dataset, train, augmentation),
        (views.views, len(train), len(dataset.classes)),
        lambda view: _finite(compute_logits(teacher.module, train, dataset, device, views, view)),
    )
    (validation_targets,) = targets(
        None if kept is None else kept.path(dataset, validation, None),
        (1, len(validation), len(dataset.classes)),
        lambda _view: _finite(compute_logits(teacher.module, validation, dataset, device)),
    ).astype(np.float32)
    return TrialAssets(
        train=dataset.train,
        validation=dataset.validation,
        train_targets=train_targets,
        validation_targets=validation_targets,
        mean=dataset.mean,
        std=dataset.std,
        classes=dataset.classes,
        teacher_accuracy=accuracy(validation_targets, dataset.validation.labels),
        train_views=own,
    )


def output_precision(device: str) -> str:
    """Return the precision of a teacher's outputs on a kind of device: `float32`, or `tf32` if a GPU rounds to it."""
    backends = torch.backends
    rounded = device == "cuda" and (backends.cudnn.allow_tf32 or backends.cuda.matmul.allow_tf32)
    return "tf32" if rounded and torch.cuda.get_device_capability() >= (8, 0) else "float32"


def compute_logits(
    module: nn.Module,
    images: Images,
    dataset: Dataset,
    device: torch.device,
    views: PictureViews | None = None,
    view: int = 0,
) -> npt.NDArray[np.float32]:
    """Compute logits [N, C] of pictures [N, K, H, W], or of one view of them, in float32; moves `module` to `device`.

    `module` must be in evaluation mode, so that a picture's logits do not depend on its neighbours.
    """
    module.to(device)
    mean, std = as_tensor(dataset.mean).to(device), as_tensor(dataset.std).to(device)
    with torch.inference_mode():
        # One tensor from the start: small tensors, kept between large allocations, would fragment the memory.
        logits = torch.empty(len(images), len(dataset.classes), device=device)
        for start in range(0, len(images), _BATCH):
            batch = as_tensor(images[start : start + _BATCH]).to(device)
            if views is not None:
                batch = views.apply(batch, torch.arange(start, start + len(batch), device=device), view)
            inputs = normalise(batch, mean, std).contiguous(memory_format=torch.channels_last)
            logits[start : start + len(batch)] = module(inputs)
    answers: npt.NDArray[np.float32] = logits.cpu().numpy()
    return answers


def _finite(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if not np.isfinite(logits).all():
        raise ModelError(
            "the teacher's outputs must be finite, but some are infinite or NaN; train it with a lower"
            " `learning_rate`, or check its checkpoint."
        )
    return logits


def accuracy(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Return the share of pictures whose highest logit is their label's, in [0, 1]."""
    return accuracy_of(as_tensor(logits), as_tensor(labels))
