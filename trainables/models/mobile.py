"""MobileNetV2 of Sandler et al. 2018 (arXiv 1801.04381) in the form for CIFAR of distillation papers."""

from __future__ import annotations

from collections import OrderedDict
from typing import cast

from torch import Tensor, nn

from trainables.models.options import MobileNetOptions
from trainables.models.small import GlobalAveragePool, initialise

_STAGES = (
    *((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
"""Expansion, channels, blocks and first stride of each stage."""
_STEM, _LAST = 32, 1280


class MobileNetV2(nn.Sequential):
    """A stem of stride 2, seven stages of inverted residuals, a 1×1 convolution, the mean, a linear layer.

    It differs from the paper's: the second stage has stride 1, activations are ReLU, the first stage has an expansion,
    too, and `width` scales all channels but the last. Names and weights are those of HobbitLong/RepDistiller, whose
    network has half the width.
    """

    def __init__(self, options: MobileNetOptions, image_shape: tuple[int, int, int], classes: int) -> None:
        before = int(_STEM * options.width)
        stem = _normalised(nn.Conv2d(image_shape[0], before, 3, stride=2, padding=1, bias=False))
        stages: list[nn.Module] = []
        for expansion, channels, count, stride in _STAGES:
            after = int(channels * options.width)
            blocks: list[nn.Module] = []
            for number in range(count):
                blocks.append(InvertedResidual(before, after, stride=1 if number else stride, expansion=expansion))
                before = after
            stages.append(nn.Sequential(*blocks))
        last = int(_LAST * max(1.0, options.width))
        parts: dict[str, nn.Module] = {
            "conv1": stem,
            "blocks": nn.Sequential(*stages),
            "conv2": _normalised(nn.Conv2d(before, last, 1, bias=False)),
            "avgpool": GlobalAveragePool(),
            "classifier": nn.Sequential(nn.Linear(last, classes)),
        }
        super().__init__(OrderedDict(parts))
        initialise(self)
        linear = cast(nn.Linear, parts["classifier"][0])  # type: ignore[index]
        nn.init.normal_(linear.weight, std=0.01)
        nn.init.zeros_(linear.bias)


class InvertedResidual(nn.Module):
    """A 1×1 convolution to more channels, one of 3×3 within each channel, and a linear 1×1 convolution to fewer."""

    def __init__(self, before: int, after: int, *, stride: int, expansion: int) -> None:
        super().__init__()
        inner = before * expansion
        self.conv = nn.Sequential(
            *_normalised(nn.Conv2d(before, inner, 1, bias=False)),
            *_normalised(nn.Conv2d(inner, inner, 3, stride=stride, padding=1, groups=inner, bias=False)),
            nn.Conv2d(inner, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self._adds = stride == 1 and before == after

    def forward(self, images: Tensor) -> Tensor:
        changed = cast(Tensor, self.conv(images))
        return images + changed if self._adds else changed


def _normalised(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True))
