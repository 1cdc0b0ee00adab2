"""timm's models, made to fit the data's channels, size and classes. timm is optional and imported when it is needed."""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, Any

from trainables.config import ModelSettings
from trainables.errors import ConfigError, ModelError, nearest

if TYPE_CHECKING:
    from torch import nn

TIMM = "timm/"
"""The beginning of the names of timm's models."""
_OURS = {
    "in_chans": "the data's channels",
    "num_classes": "the data's classes",
    "pretrained": "`student.checkpoint` or `teacher.checkpoint`, since nothing is downloaded",
    "checkpoint_path": "`student.checkpoint` or `teacher.checkpoint`",
}
"""Arguments of timm that the search sets, and by what."""


def check_timm_model(settings: ModelSettings, place: str) -> None:
    """Check a model's name and the options that the search sets itself; this builds nothing.

    Raises:
        ModelError: timm is not installed, or has no such model.
        ConfigError: an option is set by the search.
    """
    timm = _timm()
    inner = settings.name.removeprefix(TIMM)
    architecture = inner.partition(".")[0]
    if not timm.is_model(architecture):
        raise ModelError(f"timm has no model {inner!r} in the installed version.{nearest(architecture, _names())}")
    for option, by in _OURS.items():
        if option in settings.options:
            raise ConfigError(f"`{place}.{option}` is set by {by}; remove it.")


def build_timm_model(settings: ModelSettings, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Build a timm model with random weights from PyTorch's global generator.

    Models that are built for one size of pictures get that of the data as `img_size`, unless the options give it.

    Raises:
        ModelError: timm is not installed, or the model cannot be built for such pictures or with these options.
    """
    timm = _timm()
    name = settings.name.removeprefix(TIMM)
    channels, height, width = image_shape
    given: dict[str, Any] = {"in_chans": channels, "num_classes": classes, "pretrained": False}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # timm's own, about names that it maps to newer ones
            try:
                model: nn.Module = timm.create_model(name, **{"img_size": (height, width), **given, **settings.options})
            except TypeError as error:
                if "img_size" in settings.options or "img_size" not in str(error):
                    raise
                model = timm.create_model(name, **given, **settings.options)
    except Exception as error:  # timm's models raise whatever their layers do
        raise ModelError(
            f"timm's model {name!r} cannot be built for pictures of {height}×{width} pixels with options"
            f" {settings.options} ({' '.join(str(error).split())[:200]}); change the options, the model or the size."
        ) from error
    return model


def _timm() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its own imports
            import timm
    except ImportError as error:
        raise ModelError(
            "models `timm/NAME` need the package timm, which is not installed: pip install 'timm>=1.0' (on a cluster,"
            " on every node)."
        ) from error
    return timm


@functools.cache
def _names() -> tuple[str, ...]:
    return tuple(_timm().list_models())
