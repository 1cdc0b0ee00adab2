"""The VGG networks of Simonyan and Zisserman 2014 (arXiv 1409.1556) in the form for CIFAR of distillation papers."""

from __future__ import annotations

import itertools
from collections import OrderedDict

from torch import nn

from trainables.models.options import NoOptions
from trainables.models.small import GlobalAveragePool, convolution, initialise

_STAGES = {
    8: (1, 1, 1, 1, 1),
    11: (1, 1, 2, 2, 2),
    13: (2, 2, 2, 2, 2),
    16: (2, 2, 3, 3, 3),
    19: (2, 2, 4, 4, 4),
}
"""Convolutions of each stage by the depth, which counts three linear layers as in the paper; here there is one."""
_WIDTHS = (64, 128, 256, 512, 512)
_POOLED = 3
_LARGE = 64


class VGG(nn.Sequential):
    """Five stages of convolutions with batch normalisation, the mean over all positions, one linear layer.

    The first three stages end in a maximum over 2×2 positions, and the fourth if pictures have 64 pixels or more.
    Names and weights are those of HobbitLong/RepDistiller and megvii-research/mdistiller.
    """

    def __init__(self, depth: int, _options: NoOptions, image_shape: tuple[int, int, int], classes: int) -> None:
        channels, height, _ = image_shape
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        before = (channels, *_WIDTHS)
        for stage, (count, (first, width)) in enumerate(zip(_STAGES[depth], itertools.pairwise(before), strict=True)):
            block = [layer for number in range(count) for layer in _convolution(width if number else first, width)]
            layers[f"block{stage}"] = nn.Sequential(*block)
            if stage < _POOLED or (stage == _POOLED and height >= _LARGE):
                layers[f"pool{stage}"] = nn.MaxPool2d(2)
        layers["pool4"] = GlobalAveragePool()
        layers["classifier"] = nn.Linear(_WIDTHS[-1], classes)
        super().__init__(layers)
        initialise(self)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)


def _convolution(before: int, after: int) -> list[nn.Module]:
    """3×3 convolution with a bias, batch normalisation, ReLU."""
    _, normalised, positive = convolution(before, after, stride=1)
    return [nn.Conv2d(before, after, 3, padding=1), normalised, positive]
