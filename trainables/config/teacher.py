"""Settings of the teacher. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Discriminator, Field, Tag

from trainables.config.pictures import LARGEST_SEED, AugmentationSettings
from trainables.config.trial import ModelSettings, TrainingSettings
from trainables.settings import Settings


class Normalization(Settings):
    """The constants by which a network's pictures are normalised: (pixel - `mean`) / `std`, pixels in [0, 1]."""

    mean: Annotated[tuple[float, ...], Field(min_length=1)]
    """The mean of each channel."""
    std: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]

    @pydantic.model_validator(mode="after")
    def _as_many(self) -> Normalization:
        if len(self.mean) != len(self.std):
            raise ValueError(
                f"`mean` and `std` must have a number for each channel, but got {len(self.mean)} and {len(self.std)}"
            )
        if max(self.mean) > 1 or min(self.mean) < 0 or max(self.std) > 1:
            raise ValueError(
                f"`mean` and `std` must be those of pixels in [0, 1], but got {list(self.mean)} and {list(self.std)};"
                " divide those of pixels in 0..255 by 255"
            )
        return self


def _kind_of_normalization(value: Any) -> str:
    return "(name)" if isinstance(value, str) else "(table)"


NormalizationName = Literal["imagenet", "inception", "cifar10", "cifar100", "mnist", "fashion-mnist", "none"]


NamedOrTable = Annotated[
    Annotated[NormalizationName, Tag("(name)")] | Annotated[Normalization, Tag("(table)")],
    Discriminator(_kind_of_normalization),
]


class TeacherSettings(Settings):
    """The teacher: read from `checkpoint`, or trained once with `training` and cached."""

    model: ModelSettings
    checkpoint: str | None = None
    weights: Literal["plain", "ema"] | None = None
    """The weights to take from a checkpoint that has plain and averaged (EMA) ones; None for the plain ones."""
    normalization: NamedOrTable | None = None
    """The constants by which the teacher's pictures are normalised; None for those of the training pictures."""
    training: TrainingSettings | None = None
    augmentation: AugmentationSettings = AugmentationSettings()
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    unseen_classes: tuple[str, ...] = ()
    """Names of classes whose pictures the teacher's training leaves out, as if it came from an older label set."""

    @pydantic.model_validator(mode="after")
    def _one_origin(self) -> TeacherSettings:
        if (self.checkpoint is None) == (self.training is None):
            found = "neither is" if self.checkpoint is None else "both are; remove one of them"
            raise ValueError(f"exactly one of `checkpoint` and `training` must be given, but {found}")
        if self.weights is not None and self.checkpoint is None:
            raise ValueError(
                f"`weights` chooses among those of a `checkpoint`, but there is none and `weights` is {self.weights!r};"
                " remove it"
            )
        if self.model.checkpoint is not None and self.checkpoint is not None:
            raise ValueError(
                "`model.checkpoint` holds the weights that a training begins with, but `checkpoint` is given; remove"
                " one of them"
            )
        if self.unseen_classes and self.checkpoint is not None:
            raise ValueError(
                "`unseen_classes` says what a teacher is trained without, but `checkpoint` is given; remove one of them"
            )
        return self
