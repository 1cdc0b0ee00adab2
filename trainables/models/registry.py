"""Model names, their options and the functions that build them.

Imports torch only when a model is built or torchvision is asked for its names.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from trainables.config import ModelSettings, is_own
from trainables.errors import ConfigError, ModelError, nearest
from trainables.models.options import (
    CIFARResNetOptions,
    CNNOptions,
    FreeOptions,
    MLPOptions,
    MobileNetOptions,
    NoOptions,
    SmallResNetOptions,
    WideCIFARResNetOptions,
    WideResNetOptions,
)
from trainables.models.own import build_own_model, check_outputs, check_own_model
from trainables.models.timm_models import TIMM, build_timm_model, check_timm_model
from trainables.settings import Settings

if TYPE_CHECKING:
    from torch import nn

ImageShape = tuple[int, int, int]
"""(K, H, W)."""

_TORCHVISION = "torchvision/"
_WIDE_RESNET = re.compile(r"wrn-(\d{1,4})-(\d{1,3})")
_NAMED: dict[str, tuple[type[Settings], str, tuple[Any, ...]]] = {
    "mlp": (MLPOptions, "small.MLP", ()),
    "cnn": (CNNOptions, "small.CNN", ()),
    "small-resnet": (SmallResNetOptions, "small.SmallResNet", ()),
    **{
        f"resnet{depth}": (CIFARResNetOptions, "cifar_resnet.CIFARResNet", (depth, 1))
        for depth in (8, 14, 20, 32, 44, 56, 110)
    },
    **{f"resnet{depth}x4": (WideCIFARResNetOptions, "cifar_resnet.CIFARResNet", (depth, 4)) for depth in (8, 32)},
    **{f"vgg{depth}": (NoOptions, "vgg.VGG", (depth,)) for depth in (8, 11, 13, 16, 19)},
    "mobilenetv2-cifar": (MobileNetOptions, "mobile.MobileNetV2", ()),
    "shufflenetv1-cifar": (NoOptions, "shuffle.ShuffleNetV1", ()),
    "shufflenetv2-cifar": (NoOptions, "shuffle.ShuffleNetV2", ()),
    **{
        f"{name}-cifar": (NoOptions, "vision.create_cifar_form", (name,))
        for name in ("resnet18", "resnet34", "resnet50")
    },
}
"""Name -> options, the class or function in `trainables.models`, and its first arguments."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Plan:
    """The meaning of a model's name: the options that it takes, and how to build it from them."""

    options: type[Settings]
    build: Callable[[Any, ImageShape, int], nn.Module]
    check: Callable[[ModelSettings, str], None] = lambda _settings, _place: None
    """Checks what the options alone cannot say; gets the settings and the options' place in the search file."""


def model_names() -> tuple[str, ...]:
    """Return names for people to read; `wrn-D-W`, `torchvision/NAME` and the like stand for many models."""
    return (*_NAMED, "wrn-D-W", f"{_TORCHVISION}NAME", f"{TIMM}NAME", "FILE.py:NAME")


def check_model(settings: ModelSettings, section: str = "") -> Settings:
    """Check the model's options and fill in their defaults; this builds nothing.

    Only a model of timm's or of the user's own makes this import torch.

    Args:
        settings: name and options.
        section: their place in a search file, for messages, such as `student`.

    Raises:
        ModelError: no model has this name; the message names the nearest one.
        ConfigError: an option is unknown or invalid.
        PolicyError: the file of a model of the user's own fails when it is run.
    """
    return _parse_options(settings, _plan(settings, section), section)


def create_model(settings: ModelSettings, *, image_shape: ImageShape, classes: int, section: str = "") -> nn.Module:
    """Create a model with random weights from torch's global generator, in training mode, on the CPU.

    Args:
        settings: name and options.
        image_shape: (K, H, W) of the pictures that it will read, as float32 [N, K, H, W].
        classes: C; the model gives logits, [N, C].
        section: as for `check_model`.

    Raises:
        ModelError: as `check_model`, or the model cannot read pictures of this shape.
        ConfigError: as `check_model`.
    """
    plan = _plan(settings, section)
    options = _parse_options(settings, plan, section)
    with _told_of(section):
        model = plan.build(options, image_shape, classes)
        if is_own(settings.name):
            check_outputs(settings, model.eval(), image_shape, classes)
            return model.train()
        _try_out(model, settings.name, image_shape, classes)
    return model


@contextlib.contextmanager
def _told_of(setting: str) -> Iterator[None]:
    """Name the setting that asks for a model in each ModelError of the block."""
    try:
        yield
    except ModelError as error:
        if not setting:
            raise
        raise ModelError(f"`{setting}`: {error}") from error


def _parse_options(settings: ModelSettings, plan: _Plan, section: str) -> Settings:
    place = f"{section}.options" if section else "options"
    if settings.options and plan.options is NoOptions:
        raise ConfigError(
            f"`{place}` must be empty, since model {settings.name!r} has none, but got {settings.options!r}; remove it."
        )
    options = plan.options.parse(settings.options, place)
    with _told_of(f"{section}.name" if section else ""):
        plan.check(settings, place)
    return options


def _plan(settings: ModelSettings, section: str) -> _Plan:
    with _told_of(f"{section}.name" if section else ""):
        return _named(settings)


def _named(settings: ModelSettings) -> _Plan:
    name = settings.name
    if is_own(name):
        return _Plan(
            options=FreeOptions,
            build=lambda _options, image_shape, classes: build_own_model(settings, image_shape, classes),
            check=lambda _settings, _place: check_own_model(settings),
        )
    if name.startswith(TIMM):
        return _Plan(
            options=FreeOptions,
            build=lambda _options, image_shape, classes: build_timm_model(settings, image_shape, classes),
            check=check_timm_model,
        )
    if name in _NAMED:
        options, constructor, first = _NAMED[name]
        return _Plan(options=options, build=functools.partial(_build, constructor, first))
    if match := _WIDE_RESNET.fullmatch(name):
        depth, width = int(match[1]), int(match[2])
        if depth < 10 or depth % 6 != 4 or width < 1:
            raise ModelError(
                f"model {name!r}: a Wide ResNet is named wrn-D-W with a depth D of 6n+4 (10, 16, 22, 28, 34, 40, …) and"
                f" a width W of at least 1, but got D = {depth} and W = {width}."
            )
        build = functools.partial(_build, "wide_resnet.WideResNet", (depth, width))
        return _Plan(options=WideResNetOptions, build=build)
    if name.startswith(_TORCHVISION):
        inner = name.removeprefix(_TORCHVISION)
        known = torchvision_names()
        if inner not in known:
            raise ModelError(
                f"torchvision has no classification model {inner!r} in the installed version.{nearest(inner, known)}"
            )
        return _Plan(options=NoOptions, build=functools.partial(_build, "vision.create_torchvision_model", (inner,)))
    known_names = model_names()
    hint = f" Did you mean {_TORCHVISION + name!r}?" if name in torchvision_names() else nearest(name, known_names)
    raise ModelError(f"there is no model {name!r}; known: {', '.join(known_names)}.{hint}")


@functools.cache
def torchvision_names() -> frozenset[str]:
    """Return the names of torchvision's classification models; imports torchvision, which takes seconds."""
    from torchvision import models

    return frozenset(models.list_models(module=models))


def _build(
    constructor: str, first: tuple[Any, ...], options: Settings, image_shape: ImageShape, classes: int
) -> nn.Module:
    module, _, name = constructor.partition(".")
    found = importlib.import_module(f"trainables.models.{module}")
    model: nn.Module = getattr(found, name)(*first, options, image_shape, classes)
    return model


def _try_out(model: nn.Module, name: str, image_shape: ImageShape, classes: int) -> None:
    """Run one blank picture through the model, because a model too deep for its pictures fails only when it runs."""
    import torch

    rule = f"model {name!r} does not fit pictures of {'×'.join(map(str, image_shape))} (channels, height, width)"
    remedy = "choose another model, fewer stages, or larger pictures"
    model.eval()
    try:
        with torch.no_grad():
            output = model(torch.zeros(1, *image_shape))
    except Exception as error:  # libraries raise whatever their layers do
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{rule} ({why}); {remedy}.") from error
    if not isinstance(output, torch.Tensor) or output.shape != (1, classes):
        raise ModelError(f"{rule}: it must give logits of shape (1, {classes}); {remedy}.")
    model.train()
