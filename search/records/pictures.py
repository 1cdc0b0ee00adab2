"""Counts the pictures of a search, as the report and the terminal show them. Imports no torch."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING

from trainables.pictures import Inventory
from trainables.settings import Settings

if TYPE_CHECKING:
    from trainables.pictures import Dataset


class PictureCounts(Settings):
    """The sizes of the sets, after all splits."""

    train: int
    """Training pictures of the students."""
    pool: int
    """Training pictures of the teacher; they include `train`."""
    validation: int
    test: int | None
    """None for a task, whose test set is closed until a confirmation."""
    classes: int
    """0 if the task is no classification."""
    shape: tuple[int, ...]
    """(height, width, channels); of a task, the shape of one input, empty if it has several parts."""
    largest_share: float
    """The share of the largest class among the validation pictures: the accuracy of always naming it."""
    unit: str = "pictures"
    """The plural of what one sample is."""
    own_losses: bool = False
    """True for a task with losses of its own, which is not trained on logits."""
    inventory: Inventory | None = None
    """The pictures of a user's folder by set and class, and what was skipped of it."""
    own_optimizer: str = ""
    """The name of the task's own optimiser; empty if it is that of the training settings."""

    @classmethod
    def of(cls, dataset: Dataset) -> PictureCounts:
        """The sizes of a data set's parts."""
        channels, height, width = dataset.image_shape
        sizes = collections.Counter(dataset.validation.labels.tolist())
        return cls(
            train=len(dataset.train),
            pool=len(dataset.pool),
            validation=len(dataset.validation),
            test=len(dataset.test),
            classes=len(dataset.classes),
            shape=(height, width, channels),
            largest_share=max(sizes.values()) / sizes.total(),
            inventory=dataset.inventory,
        )

    @property
    def in_words(self) -> str:
        """`2,000 training (the teacher's: 55,000), 5,000 validation, 10,000 test pictures of 28×28×1, 10 classes`."""
        shape = f" of {'×'.join(map(str, self.shape))}" if self.shape else ""
        classes = f", {self.classes:,} classes" if self.classes else ""
        if self.test is None:
            return f"{self.train:,} training, {self.validation:,} validation {self.unit}{shape}{classes}"
        teachers = "" if self.pool == self.train else f" (the teacher's: {self.pool:,})"
        return (
            f"{self.train:,} training{teachers}, {self.validation:,} validation, {self.test:,} test"
            f" {self.unit}{shape}{classes}"
        )
