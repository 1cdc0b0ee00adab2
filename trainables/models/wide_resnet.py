"""Wide ResNets of Zagoruyko and Komodakis 2016 (arXiv 1605.07146)."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from trainables.models.options import WideResNetOptions
from trainables.models.small import GlobalAveragePool, initialise


class WideResNet(nn.Sequential):
    """Depth 6n+4, width k: a stem, three stages of n pre-activation blocks with 16k, 32k and 64k channels."""

    def __init__(
        self, depth: int, width: int, options: WideResNetOptions, image_shape: tuple[int, int, int], classes: int
    ) -> None:
        before = 16
        layers: list[nn.Module] = [nn.Conv2d(image_shape[0], before, 3, padding=1, bias=False)]
        for stage in range(3):
            after = 16 * width * 2**stage
            for block in range((depth - 4) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(PreActivationBlock(before, after, stride=stride, options=options))
                before = after
        head = [nn.BatchNorm2d(before), nn.ReLU(inplace=True), GlobalAveragePool(), nn.Linear(before, classes)]
        super().__init__(*layers, *head)
        initialise(self)


class PreActivationBlock(nn.Module):
    """BN-ReLU-convolution twice; where the shape changes, a 1×1 shortcut reads the first activation or the input."""

    def __init__(self, before: int, after: int, *, stride: int, options: WideResNetOptions) -> None:
        super().__init__()
        self.activation = nn.Sequential(nn.BatchNorm2d(before), nn.ReLU(inplace=True))
        self.body = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
            nn.Dropout(options.dropout),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
        )
        self.shortcut = (
            nn.Conv2d(before, after, 1, stride=stride, bias=False) if stride != 1 or before != after else None
        )
        self._reads_input = options.shortcut_reads == "input"

    def forward(self, images: Tensor) -> Tensor:
        active = self.activation(images)
        shortcut = images if self.shortcut is None else self.shortcut(images if self._reads_input else active)
        return cast(Tensor, self.body(active) + shortcut)
