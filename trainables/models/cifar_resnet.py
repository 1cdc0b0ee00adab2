"""The ResNets for CIFAR of He, Zhang, Ren and Sun 2015 (arXiv 1512.03385, section 4.2)."""

from __future__ import annotations

from torch import Tensor, nn

from trainables.models.options import CIFARResNetOptions, WideCIFARResNetOptions
from trainables.models.small import GlobalAveragePool, ResidualBlock, convolution, initialise

_WIDTHS = {1: (16, 16, 32, 64), 4: (32, 64, 128, 256)}
"""Channels of the stem and the stages by their factor; four times as wide they are those of `resnet8x4` (CRD)."""


class CIFARResNet(nn.Sequential):
    """Depth 6n+2: a stem, three stages of n blocks with 16, 32 and 64 channels or four times as many, the mean, a
    linear layer.
    """

    def __init__(
        self,
        depth: int,
        factor: int,
        options: CIFARResNetOptions | WideCIFARResNetOptions,
        image_shape: tuple[int, int, int],
        classes: int,
    ) -> None:
        before, *widths = _WIDTHS[factor]
        layers: list[nn.Module] = convolution(image_shape[0], before, stride=1)
        for stage, width in enumerate(widths):
            for block in range((depth - 2) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                residual = ResidualBlock(before, width, stride=stride)
                if before != width and options.shortcut == "identity":
                    residual.shortcut = PaddedShortcut(width - before, stride)
                layers.append(residual)
                before = width
        super().__init__(*layers, GlobalAveragePool(), nn.Linear(before, classes))
        initialise(self)


class PaddedShortcut(nn.Module):
    """Option A: every `stride`-th position, and zeros in the new channels."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.padding = (0, 0, 0, 0, new_channels // 2, new_channels - new_channels // 2)
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        return nn.functional.pad(images[:, :, :: self.stride, :: self.stride], self.padding)
