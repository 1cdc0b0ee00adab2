"""Translates the usual names of networks for CIFAR in PyTorch (`conv1`, `layer1.0.conv1`, `fc`) to this project's.

| network | sources of the usual names |
| --- | --- |
| ResNets of He et al. 2015 | akamaster/pytorch_resnet_cifar10 (option A, `linear`), chenyaofo/pytorch-cifar-models, \
HobbitLong/RepDistiller and torchdistill (option B as `downsample`, `fc`) |
| Wide ResNets | xternalz/WideResNet-pytorch and RepDistiller (`block1.layer.0`), torchdistill (`layer1.0`) |
| torchvision's ResNets for CIFAR | kuangliu/pytorch-cifar and RepDistiller (`shortcut`, `linear`) |

All compute their layers in the order of this project's networks, but for one: a shortcut of torchdistill's Wide ResNets
reads the block's input. Networks that are not here have the usual names themselves, or no usual ones.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_HEADS = ("fc", "linear", "classifier")
_SHORTCUTS = ("downsample", "shortcut")
_STAGES = 3
_STEM = 3  # convolution, normalisation, ReLU
_BODY = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2"}
_WIDE_BODY = {"0": "conv1", "1": "bn2", "4": "conv2"}
_RESNET = re.compile(r"resnet(\d+)(x4)?")
_WIDE_RESNET = re.compile(r"wrn-(\d+)-\d+")
_CIFAR_FORM = re.compile(r"resnet\d+-cifar")
_READS = "shortcut_reads"
_WIDE_NAMES = {
    "activation": ("block{stage}.layer.{block}", "convShortcut"),
    "input": ("layer{stage}.{block}", "shortcut.0"),
}
"""The names of a Wide ResNet's blocks and of their shortcuts, by what the shortcuts read."""


def usual_names(model: str, options: Mapping[str, Any], own: list[str]) -> Iterator[Mapping[str, str]]:
    """Yield translations from the names of a model's weights to those of the usual implementations.

    Args:
        model: the model's name; of most models there are no translations.
        options: its options.
        own: the names of the model's state dict.
    """
    if found := _RESNET.fullmatch(model):
        blocks = (int(found[1]) - 2) // 6
        for head, shortcut in itertools.product(_HEADS, _SHORTCUTS):
            yield {name: _of_resnet(name, blocks, head, shortcut) for name in own}
    elif found := _WIDE_RESNET.fullmatch(model):
        blocks = (int(found[1]) - 4) // 6
        place, shortcut = _WIDE_NAMES[options.get(_READS, "activation")]
        for head in _HEADS:
            yield {name: _of_wide_resnet(name, blocks, head, place, shortcut) for name in own}
    elif _CIFAR_FORM.fullmatch(model):
        for head, shortcut in itertools.product(_HEADS, _SHORTCUTS):
            yield {name: re.sub(r"^fc\b", head, name.replace("downsample", shortcut)) for name in own}


def shortcut_hint(model: str, options: Mapping[str, Any], own: Iterable[str], found: Iterable[str]) -> str:
    """Return a sentence if a ResNet's file has the other kind of shortcuts than the model; else nothing.

    Args:
        model: the model's name.
        options: its options.
        own: the names of the model's weights.
        found: the names of the file's weights.
    """
    found = list(found)
    if _WIDE_RESNET.fullmatch(model):
        begin = "block1.layer.0." if options.get(_READS) == "input" else "layer1.0."
        kind = "activation" if options.get(_READS) == "input" else "input"
        right = any(begin in name for name in found)
        return f' The file\'s names fit options = {{ {_READS} = "{kind}" }}.' if right else ""
    if _RESNET.fullmatch(model) is None or not any("layer1.0." in name for name in found):
        return ""
    ours, theirs = (any(part in name for name in names for part in _SHORTCUTS) for names in (own, found))
    if ours == theirs:
        return ""
    kind = "projection" if theirs else "identity"
    return f' The file\'s shortcuts fit options = {{ shortcut = "{kind}" }}.'


def _of_resnet(name: str, blocks: int, head: str, shortcut: str) -> str:
    place, _, rest = name.partition(".")
    index = int(place)
    if index < _STEM:
        return f"{'conv1' if index == 0 else 'bn1'}.{rest}"
    if index >= _STEM + _STAGES * blocks:
        return f"{head}.{rest}"
    stage, block = divmod(index - _STEM, blocks)
    part, _, rest = rest.partition(".")
    layer, _, weight = rest.partition(".")
    inner = _BODY[layer] if part == "body" else f"{shortcut}.{layer}"
    return f"layer{stage + 1}.{block}.{inner}.{weight}"


def _of_wide_resnet(name: str, blocks: int, head: str, place: str, shortcut: str) -> str:
    number, _, rest = name.partition(".")
    index = int(number)
    if index == 0:
        return f"conv1.{rest}"
    if index > _STAGES * blocks:
        return f"{'bn1' if index == _STAGES * blocks + 1 else head}.{rest}"
    stage, block = divmod(index - 1, blocks)
    part, _, rest = rest.partition(".")
    if part == "shortcut":
        inner = f"{shortcut}.{rest}"
    else:
        layer, _, weight = rest.partition(".")
        inner = f"{'bn1' if part == 'activation' else _WIDE_BODY[layer]}.{weight}"
    return f"{place.format(stage=stage + 1, block=block)}.{inner}"
