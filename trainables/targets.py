"""The teacher's outputs, computed once for all trials.

N: training pictures; V: views of each; M: validation pictures; C: classes; K: channels; H, W: height and width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from trainables.assets import Dataset, Images, TrialAssets
from trainables.augmentation import Augmentation
from trainables.config import AugmentationSettings
from trainables.errors import ModelError
from trainables.evaluation import score_logits
from trainables.normalization import as_tensor, normalise

if TYPE_CHECKING:
    from trainables.teacher import Teacher

_BATCH = 256


def compute_assets(
    dataset: Dataset, teacher: Teacher, augmentation: AugmentationSettings, device: torch.device
) -> TrialAssets:
    """What trials read: the pictures, and the teacher's logits on every view of them, [V, N, C], and on [M, C].

    `augmentation` is the students'. The logits take 4·V·N·C bytes.

    Raises:
        ModelError: the teacher gives logits that are not finite.
    """
    views = Augmentation(augmentation, len(dataset.train), mean=dataset.mean, device=device)
    train_targets = np.stack(
        [compute_logits(teacher.module, dataset.train.images, dataset, device, views, v) for v in range(views.views)]
    )
    validation_targets = compute_logits(teacher.module, dataset.validation.images, dataset, device)
    for targets in (train_targets, validation_targets):
        if not np.isfinite(targets).all():
            raise ModelError(
                "the teacher's outputs must be finite, but some are infinite or NaN; train it with a lower"
                " `learning_rate`, or check its checkpoint."
            )
    return TrialAssets(
        train=dataset.train,
        validation=dataset.validation,
        train_targets=train_targets,
        validation_targets=validation_targets,
        mean=dataset.mean,
        std=dataset.std,
        classes=dataset.classes,
        teacher_accuracy=accuracy(validation_targets, dataset.validation.labels),
    )


def compute_logits(
    module: nn.Module,
    images: Images,
    dataset: Dataset,
    device: torch.device,
    views: Augmentation | None = None,
    view: int = 0,
) -> npt.NDArray[np.float32]:
    """Logits [N, C] of pictures [N, K, H, W], or of one view of them, in float32; leaves `module` on `device`.

    `module` must be in evaluation mode, so that a picture's logits do not depend on its neighbours.
    """
    module.to(device)
    mean, std = as_tensor(dataset.mean).to(device), as_tensor(dataset.std).to(device)
    parts: list[Tensor] = []
    with torch.inference_mode():
        for start in range(0, len(images), _BATCH):
            batch = as_tensor(images[start : start + _BATCH]).to(device)
            if views is not None:
                batch = views.apply(batch, torch.arange(start, start + len(batch), device=device), view)
            inputs = normalise(batch, mean, std).contiguous(memory_format=torch.channels_last)
            parts.append(module(inputs).float())
    logits: npt.NDArray[np.float32] = torch.cat(parts).cpu().numpy()
    return logits


def accuracy(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Share of pictures whose highest logit is their label's, in [0, 1]."""
    return score_logits(as_tensor(logits), as_tensor(labels)).accuracy
