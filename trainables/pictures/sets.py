"""Data that all trials of a search share: pictures, labels and the teacher's outputs. One copy a node.

N: training pictures; V: views of each (1 without augmentation); M: validation pictures; C: classes; K: channels;
H, W: height and width in pixels.

Arrays are NumPy so that Ray's object store can give them to every trial of a node without a copy. Pictures too many for
memory stay in a file that trials map.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from trainables.pictures.inventory import Inventory
from trainables.pictures.mapped_images import MappedImages

Images = npt.NDArray[np.uint8] | MappedImages
"""Pictures as stored, uint8 [N, K, H, W], in memory or in a file. Both give an array for a slice or for indices."""


InitialWeights = dict[str, npt.NDArray[Any]]
"""The weights that a student's training begins with, by name; names that are missing begin with random ones."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """Pictures as stored, uint8 [N, K, H, W], and labels, int64 [N] in [0, C)."""

    images: Images
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: npt.NDArray[np.int64]) -> Split:
        """Return the pictures at `indices`, in that order; those in a file stay there."""
        images = self.images.select(indices) if isinstance(self.images, MappedImages) else self.images[indices]
        return Split(images=images, labels=self.labels[indices])

    def in_memory(self) -> Split:
        """Return the same pictures, all in memory; the split itself if they are there already."""
        return Split(images=self.images[:], labels=self.labels) if isinstance(self.images, MappedImages) else self


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dataset:
    """Three sets that share no picture, and the statistics to normalise them.

    `pool` trains the teacher; `train` is the part of it that students see. A search reads `train` and `validation`;
    only a confirmation reads `test`.
    """

    name: str
    classes: tuple[str, ...]
    pool: Split
    train: Split
    validation: Split
    test: Split
    mean: npt.NDArray[np.float32]
    """The mean of the pool's pixels by channel, in stored units (0..255), [K]."""
    std: npt.NDArray[np.float32]
    inventory: Inventory | None = None
    """The used and skipped files of a user's folder of pictures."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(K, H, W)."""
        _, channels, height, width = self.pool.images.shape
        return channels, height, width


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrialAssets:
    """The data that a trial reads. It holds no test set, so no trial can look at one."""

    train: Split
    validation: Split
    train_targets: npt.NDArray[np.float32] | npt.NDArray[np.float16]
    """The teacher's logits on every view of the training pictures, [V, N, C]; float16 only where they are many."""
    validation_targets: npt.NDArray[np.float32]
    """The teacher's logits on the validation pictures, [M, C]."""
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]
    classes: tuple[str, ...]
    teacher_accuracy: float
    """The teacher's accuracy on the validation pictures."""
    train_views: npt.NDArray[np.uint8] | None = None
    """The views of the training pictures, [V, N, K, H, W], where a function of the user's own makes them."""
    initial: Mapping[str, InitialWeights] = dataclasses.field(default_factory=dict)
    """The weights of pretrained students, by the student's settings as JSON."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(K, H, W)."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width
