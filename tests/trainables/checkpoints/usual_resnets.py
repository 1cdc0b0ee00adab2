"""The CIFAR ResNets that people train, written down independently of this project, by the usual names."""

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, before, after, stride, shortcut):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.stride, self.new, self.kind = stride, after - before, shortcut
        if self.new and shortcut != "A":
            projection = nn.Sequential(nn.Conv2d(before, after, 1, stride=stride, bias=False), nn.BatchNorm2d(after))
            setattr(self, shortcut, projection)

    def forward(self, x):
        y = functional.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        if not self.new:
            beside = x
        elif self.kind == "A":
            beside = functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.new // 2, self.new // 2))
        else:
            beside = getattr(self, self.kind)(x)
        return functional.relu(y + beside)


class UsualResNet(nn.Module):
    """A ResNet of depth 6n+2; `shortcut` is "A", or the name under which projections are kept; `head` likewise."""

    def __init__(self, depth, classes, channels=3, shortcut="A", head="linear"):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        before = 16
        for stage, width in enumerate((16, 32, 64), start=1):
            blocks = []
            for block in range((depth - 2) // 6):
                blocks.append(Block(before, width, 2 if stage > 1 and block == 0 else 1, shortcut))
                before = width
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
        self.head = head
        setattr(self, head, nn.Linear(64, classes))

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = functional.avg_pool2d(x, x.size(3)).flatten(1)
        return getattr(self, self.head)(x)


def trained_looking(network: nn.Module) -> nn.Module:
    """Give normalisations the statistics and scales that a training would, so that a swapped layer shows."""
    torch.manual_seed(7)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network.eval()
