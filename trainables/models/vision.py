"""torchvision's classification models, made to fit the data's channels, size and classes."""

from __future__ import annotations

from typing import Any

from torch import nn
from torchvision import models

from trainables.errors import ModelError
from trainables.models.options import NoOptions

_IMAGENET_CHANNELS = 3


def create_torchvision_model(
    name: str, _options: NoOptions, image_shape: tuple[int, int, int], classes: int
) -> nn.Module:
    """Create a torchvision model with random weights.

    If the pictures do not have three channels, the first convolution is replaced by one for their channels.

    Raises:
        ModelError: torchvision has no such model, or the model cannot be built for such pictures.
    """
    channels, height, width = image_shape
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": True}  # otherwise they return tuples, and warn
    elif name.startswith("vit_"):
        options = {"image_size": height}
    elif name == "maxvit_t":
        options = {"input_size": (height, width)}
    try:
        model: nn.Module = models.get_model(name, weights=None, num_classes=classes, **options)
    except (ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(
            f"torchvision's model {name!r} cannot be built for pictures of {height}×{width} pixels ({error});"
            " choose another model or another size."
        ) from error
    if channels != _IMAGENET_CHANNELS:
        _replace_first_convolution(model, name, channels)
    return model


def create_cifar_form(name: str, _options: NoOptions, image_shape: tuple[int, int, int], classes: int) -> nn.Module:
    """Create a ResNet of torchvision's for small pictures: a first convolution of 3×3, and no pooling after it.

    So are ResNet-18 and ResNet-50 for CIFAR in kuangliu/pytorch-cifar and HobbitLong/RepDistiller.
    """
    model: nn.Module = models.get_model(name, weights=None, num_classes=classes)
    stem = nn.Conv2d(image_shape[0], 64, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")  # as torchvision's ResNets do
    model.conv1, model.maxpool = stem, nn.Identity()
    return model


def _replace_first_convolution(model: nn.Module, name: str, channels: int) -> None:
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            if module.in_channels != _IMAGENET_CHANNELS or module.groups != 1:
                break
            parent, _, child = path.rpartition(".")
            replacement = nn.Conv2d(
                channels,
                module.out_channels,
                kernel_size=module.kernel_size,  # type: ignore[arg-type]
                stride=module.stride,  # type: ignore[arg-type]
                padding=module.padding,  # type: ignore[arg-type]
                dilation=module.dilation,  # type: ignore[arg-type]
                bias=module.bias is not None,
            )
            setattr(model.get_submodule(parent), child, replacement)
            return
    raise ModelError(
        f"torchvision's model {name!r} does not begin with a convolution over 3 channels, so it cannot read"
        f" pictures with {channels}; choose another model."
    )
