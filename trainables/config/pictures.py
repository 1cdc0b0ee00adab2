"""Settings of the pictures: where they come from, how they are split, and their random views. Imports no torch."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
from pydantic import Field

from trainables.config.own_part import is_own
from trainables.errors import ConfigError, nearest
from trainables.settings import Settings

LARGEST_SEED = 2**32 - 1
"""The largest seed that NumPy and scikit-learn accept."""

DATASETS = ("digits", "fashion-mnist", "cifar10", "cifar100", "image-folder")
"""The names of the data sets that are built in."""


class DataSettings(Settings):
    """Settings of the pictures and of their split.

    The test set is the data set's own where it has one, and so is the validation set. Students see `train_size`
    pictures of the training pool (stratified by class; all when not given). The teacher sees the whole pool. Neither
    sees the validation pictures, on which policies are compared.
    """

    name: str = "digits"
    """One of `DATASETS`, or `my_data.py:load`, a function of the user's own; see `trainables.datasets.own`."""
    source: str = ""
    """The text of the file of a function of the user's own."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of a function of the user's own."""
    root: str | None = None
    train_size: int | None = Field(None, ge=2)
    validation_size: int | None = Field(None, ge=1)
    """The number of validation pictures. Default: all of the data set's own validation set; 500 where it has none."""
    test_size: int | None = Field(None, ge=1)
    split_seed: int = Field(0, ge=0, le=LARGEST_SEED)
    image_size: int | None = Field(None, ge=4)
    channels: Literal[1, 3] | None = None
    download: bool = True
    skip_bad: bool = False
    """True to skip pictures of an image folder that cannot be read; by default they are an error."""

    @pydantic.field_validator("name")
    @classmethod
    def _is_known(cls, name: str) -> str:
        if name not in DATASETS and not is_own(name):
            raise ConfigError(
                f"must be one of {', '.join(map(repr, DATASETS))}, or a function of your own as FILE.py:FUNCTION, but"
                f" got {name!r}.{nearest(name, DATASETS)}"
            )
        return name

    @pydantic.model_validator(mode="after")
    def _only_where_it_applies(self) -> DataSettings:
        if is_own(self.name):
            if self.root is not None:
                raise ValueError(
                    f"`root` does not apply to a function of your own, but `name` is {self.name!r}; give the folder as"
                    " an argument of the function under `options`"
                )
        elif self.options:
            raise ValueError(
                f"`options` are the arguments of a function of your own, but `name` is {self.name!r}; remove them"
            )
        if self.name == "image-folder":
            if self.root is None:
                raise ValueError(
                    "`root` must name the folder of pictures when `name` is 'image-folder', but is not given"
                )
        elif self.image_size is not None or self.channels is not None or self.skip_bad:
            raise ValueError(
                f"`image_size`, `channels` and `skip_bad` apply to 'image-folder' only, but `name` is {self.name!r};"
                " remove them"
            )
        return self


class AugmentationSettings(Settings):
    """Seeded random views of the training pictures.

    Each picture has `views` fixed views; epoch e uses view e mod `views`, so that the teacher's outputs can be
    computed once for every view. The views are flips and shifts, or come from a function of the user's own.
    """

    function: str | None = None
    """`my_views.py:view`, a function of the user's own; see `trainables.training.own_views`."""
    source: str = ""
    """The text of the function's file."""
    flip: bool = False
    crop_padding: int = Field(0, ge=0, le=64)
    views: int = Field(8, ge=1, le=256)
    seed: int = Field(0, ge=0, le=LARGEST_SEED)

    @property
    def active(self) -> bool:
        """True if views differ from the picture at all."""
        return self.flip or self.crop_padding > 0 or self.function is not None

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that decide the views, for keys of caches; without a function those of earlier releases."""
        return self.model_dump(exclude=None if self.function is not None else {"function", "source"})

    @pydantic.model_validator(mode="after")
    def _a_function_does_it_all(self) -> AugmentationSettings:
        if self.function is not None:
            if not is_own(self.function):
                raise ValueError(
                    f"`function` must be FILE.py:FUNCTION, like my_views.py:view, but got {self.function!r}"
                )
            if self.flip or self.crop_padding:
                raise ValueError(
                    f"`flip` and `crop_padding` do not apply beside `function`, but `function` is {self.function!r};"
                    " remove them, and flip and shift in the function"
                )
        return self
