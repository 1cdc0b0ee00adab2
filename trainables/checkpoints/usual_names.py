"""Translates the names of the usual CIFAR ResNets in PyTorch (`conv1`, `layer1.0.conv1`, `linear`) to this project's.

Sources of the usual names: akamaster/pytorch_resnet_cifar10 (option A, `linear`), chenyaofo/pytorch-cifar-models and
HobbitLong/RepDistiller (option B as `downsample`, `fc`). All compute convolution, normalisation and ReLU in the order
of He et al. 2015 (arXiv 1512.03385), as `trainables.models.cifar_resnet` does.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping

_HEADS = ("fc", "linear", "classifier")
_SHORTCUTS = ("downsample", "shortcut")
_STAGES = 3
_STEM = 3  # convolution, normalisation, ReLU
_BODY = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2"}
_DEPTH = re.compile(r"resnet(\d+)")


def usual_names(model: str, own: list[str]) -> Iterator[Mapping[str, str]]:
    """Yield translations from the names of a model's weights to those of the usual implementations.

    Args:
        model: the model's name; there are translations of `resnet20` and its kin only.
        own: the names of the model's state dict.
    """
    found = _DEPTH.fullmatch(model)
    if found is None:
        return
    blocks = (int(found[1]) - 2) // 6
    for head, shortcut in itertools.product(_HEADS, _SHORTCUTS):
        yield {name: _translated(name, blocks, head, shortcut) for name in own}


def shortcut_hint(model: str, own: Iterable[str], found: Iterable[str]) -> str:
    """Return a sentence if a ResNet's file has the other kind of shortcuts than the model; else nothing.

    Args:
        model: the model's name.
        own: the names of the model's weights.
        found: the names of the file's weights.
    """
    found = list(found)
    if _DEPTH.fullmatch(model) is None or not any("layer1.0." in name for name in found):
        return ""
    ours, theirs = (any(part in name for name in names for part in _SHORTCUTS) for names in (own, found))
    if ours == theirs:
        return ""
    kind = "projection" if theirs else "identity"
    return f' The file\'s shortcuts fit options = {{ shortcut = "{kind}" }}.'


def _translated(name: str, blocks: int, head: str, shortcut: str) -> str:
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
