"""ShuffleNets of Zhang et al. 2017 (arXiv 1707.01083) and Ma et al. 2018 (arXiv 1807.11164), in the form for CIFAR.

Names and weights are those of kuangliu/pytorch-cifar and HobbitLong/RepDistiller, whose stems are 1×1 convolutions.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import channel_shuffle, relu

from trainables.models.options import NoOptions
from trainables.models.small import GlobalAveragePool

_STEM = 24


class ShuffleNetV1(nn.Sequential):
    """Stages of 240, 480 and 960 channels with 4, 8 and 4 blocks; 1×1 convolutions have three groups."""

    def __init__(self, _options: NoOptions, image_shape: tuple[int, int, int], classes: int) -> None:
        stages = _stages(
            (240, 480, 960),
            (4, 8, 4),
            lambda before, after: GroupedBlock(before, after - before, stride=2),
            lambda width: GroupedBlock(width, width, stride=1),
        )
        super().__init__(_chain(image_shape[0], stages, OrderedDict(), 960, classes))


class ShuffleNetV2(nn.Sequential):
    """Stages of 116, 232 and 464 channels with 4, 8 and 4 blocks, and a 1×1 convolution to 1024 channels."""

    def __init__(self, _options: NoOptions, image_shape: tuple[int, int, int], classes: int) -> None:
        stages = _stages((116, 232, 464), (4, 8, 4), HalvingBlock, SplitBlock)
        last: OrderedDict[str, nn.Module] = OrderedDict(
            conv2=_pointwise(464, 1024), bn2=nn.BatchNorm2d(1024), relu2=nn.ReLU(inplace=True)
        )
        super().__init__(_chain(image_shape[0], stages, last, 1024, classes))


class GroupedBlock(nn.Module):
    """1×1, 3×3 within channels, 1×1, beside the input; with stride 2 both are joined, else they are added."""

    def __init__(self, before: int, after: int, *, stride: int) -> None:
        super().__init__()
        inner = after // 4
        self._groups = 1 if before == _STEM else 3
        self._halves = stride == 2
        self.conv1, self.bn1 = _pointwise(before, inner, groups=self._groups), nn.BatchNorm2d(inner)
        self.conv2, self.bn2 = _depthwise(inner, stride), nn.BatchNorm2d(inner)
        self.conv3, self.bn3 = _pointwise(inner, after, groups=3), nn.BatchNorm2d(after)
        self.shortcut = nn.AvgPool2d(3, stride=2, padding=1) if self._halves else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        found = channel_shuffle(relu(self.bn1(self.conv1(images))), self._groups)
        found = self.bn3(self.conv3(relu(self.bn2(self.conv2(found)))))
        beside = self.shortcut(images)
        return relu(torch.cat([found, beside], 1) if self._halves else found + beside)


class SplitBlock(nn.Module):
    """Half of the channels pass; 1×1, 3×3 within channels and 1×1 change the other half; then all are shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.conv1, self.bn1 = _pointwise(half, half), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = _depthwise(half, 1), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = _pointwise(half, half), nn.BatchNorm2d(half)

    def forward(self, images: Tensor) -> Tensor:
        passed, changed = images.chunk(2, 1)
        changed = self.bn2(self.conv2(relu(self.bn1(self.conv1(changed)))))
        return channel_shuffle(torch.cat([passed, relu(self.bn3(self.conv3(changed)))], 1), 2)


class HalvingBlock(nn.Module):
    """Two branches of stride 2 on all channels, joined and shuffled."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        half = after // 2
        self.conv1, self.bn1 = _depthwise(before, 2), nn.BatchNorm2d(before)
        self.conv2, self.bn2 = _pointwise(before, half), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = _pointwise(before, half), nn.BatchNorm2d(half)
        self.conv4, self.bn4 = _depthwise(half, 2), nn.BatchNorm2d(half)
        self.conv5, self.bn5 = _pointwise(half, half), nn.BatchNorm2d(half)

    def forward(self, images: Tensor) -> Tensor:
        left = relu(self.bn2(self.conv2(self.bn1(self.conv1(images)))))
        right = self.bn4(self.conv4(relu(self.bn3(self.conv3(images)))))
        return channel_shuffle(torch.cat([left, relu(self.bn5(self.conv5(right)))], 1), 2)


def _stages(
    widths: tuple[int, ...],
    counts: tuple[int, ...],
    first: Callable[[int, int], nn.Module],
    other: Callable[[int], nn.Module],
) -> OrderedDict[str, nn.Module]:
    found: OrderedDict[str, nn.Module] = OrderedDict()
    for number, (before, width, count) in enumerate(zip((_STEM, *widths), widths, counts, strict=False), start=1):
        found[f"layer{number}"] = nn.Sequential(first(before, width), *(other(width) for _ in range(count - 1)))
    return found


def _chain(
    channels: int, stages: OrderedDict[str, nn.Module], last: OrderedDict[str, nn.Module], width: int, classes: int
) -> OrderedDict[str, nn.Module]:
    stem: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=_pointwise(channels, _STEM), bn1=nn.BatchNorm2d(_STEM), relu1=nn.ReLU(inplace=True)
    )
    head: OrderedDict[str, nn.Module] = OrderedDict(pool=GlobalAveragePool(), linear=nn.Linear(width, classes))
    return OrderedDict(stem | stages | last | head)


def _pointwise(before: int, after: int, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, 1, groups=groups, bias=False)


def _depthwise(width: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(width, width, 3, stride=stride, padding=1, groups=width, bias=False)
