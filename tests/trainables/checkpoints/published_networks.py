"""The networks of distillation papers as functions of their weights, written down independently of this project.

Names and shapes of the weights are those of the repositories' state dicts; see `docs/published-settings.md`.
"""

import torch
from torch.nn import functional
from torch.nn.functional import relu


class Weights:
    """Applies layers by name, and draws the weights of each when it first meets its name."""

    def __init__(self, counters=True):
        self.state = {}
        self._counters = counters
        self._random = torch.Generator().manual_seed(0)

    def _drawn(self, name, *shape, spread=0.05, middle=0.0):
        if name not in self.state:
            self.state[name] = middle + spread * torch.randn(shape, generator=self._random)
        return self.state[name]

    def convolution(self, name, x, after, kernel=3, stride=1, groups=1, bias=False):
        weight = self._drawn(f"{name}.weight", after, x.shape[1] // groups, kernel, kernel, spread=0.1)
        offset = self._drawn(f"{name}.bias", after) if bias else None
        return functional.conv2d(x, weight, offset, stride, kernel // 2, groups=groups)

    def norm(self, name, x):
        width = x.shape[1]
        scale, offset = self._drawn(f"{name}.weight", width, middle=1.0), self._drawn(f"{name}.bias", width)
        mean, variance = self._drawn(f"{name}.running_mean", width), self._drawn(f"{name}.running_var", width, middle=1)
        if self._counters:
            self.state[f"{name}.num_batches_tracked"] = torch.tensor(7)
        return functional.batch_norm(x, mean, variance, scale, offset)

    def linear(self, name, x, after):
        return functional.linear(
            x, self._drawn(f"{name}.weight", after, x.shape[1]), self._drawn(f"{name}.bias", after)
        )

    @property
    def trained(self):
        """The number of trained weights."""
        return sum(v.numel() for n, v in self.state.items() if n.rpartition(".")[2] in ("weight", "bias"))


def mean(x):
    return x.mean((2, 3))


def resnet(w, x, depth, stem, widths, shortcut="downsample", head="fc"):
    x = relu(w.norm("bn1", w.convolution("conv1", x, stem)))
    for stage, width in enumerate(widths, 1):
        for block in range((depth - 2) // 6):
            place, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = relu(w.norm(f"{place}.bn1", w.convolution(f"{place}.conv1", x, width, stride=stride)))
            y = w.norm(f"{place}.bn2", w.convolution(f"{place}.conv2", y, width))
            if stride == 2 or x.shape[1] != width:
                x = w.convolution(f"{place}.{shortcut}.0", x, width, 1, stride)
                x = w.norm(f"{place}.{shortcut}.1", x)
            x = relu(x + y)
    return w.linear(head, mean(x), 100)


def bottleneck_resnet(w, x, counts, shortcut="shortcut", head="linear"):
    x = relu(w.norm("bn1", w.convolution("conv1", x, 64)))
    for stage, count in enumerate(counts, 1):
        width = 32 * 2**stage
        for block in range(count):
            place, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = relu(w.norm(f"{place}.bn1", w.convolution(f"{place}.conv1", x, width, 1)))
            y = relu(w.norm(f"{place}.bn2", w.convolution(f"{place}.conv2", y, width, 3, stride)))
            y = w.norm(f"{place}.bn3", w.convolution(f"{place}.conv3", y, 4 * width, 1))
            if block == 0:
                x = w.convolution(f"{place}.{shortcut}.0", x, 4 * width, 1, stride)
                x = w.norm(f"{place}.{shortcut}.1", x)
            x = relu(x + y)
    return w.linear(head, mean(x), 100)


def wide_resnet(w, x, depth, factor, torchdistill=False):
    x = w.convolution("conv1", x, 16)
    for stage in (1, 2, 3):
        width = 8 * factor * 2**stage
        for block in range((depth - 4) // 6):
            place = f"layer{stage}.{block}" if torchdistill else f"block{stage}.layer.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            active = relu(w.norm(f"{place}.bn1", x))
            y = w.convolution(f"{place}.conv1", active, width, stride=stride)
            y = w.convolution(f"{place}.conv2", relu(w.norm(f"{place}.bn2", y)), width)
            if stride == 2 or x.shape[1] != width:
                if torchdistill:
                    x = w.convolution(f"{place}.shortcut.0", x, width, 1, stride)
                else:
                    x = w.convolution(f"{place}.convShortcut", active, width, 1, stride)
            x = x + y
    return w.linear("fc", mean(relu(w.norm("bn1", x))), 100)


def vgg(w, x, counts):
    for stage, (count, width) in enumerate(zip(counts, (64, 128, 256, 512, 512), strict=True)):
        for number in range(count):
            x = w.convolution(f"block{stage}.{3 * number}", x, width, bias=True)
            x = relu(w.norm(f"block{stage}.{3 * number + 1}", x))
        if stage < 3 or (stage == 3 and x.shape[2] == 8):
            x = functional.max_pool2d(x, 2)
    return w.linear("classifier", mean(x), 100)


def half_mobilenet(w, x):
    x = relu(w.norm("conv1.1", w.convolution("conv1.0", x, 16, stride=2)))
    stages = [(1, 8, 1, 1), (6, 12, 2, 1), (6, 16, 3, 2), (6, 32, 4, 2), (6, 48, 3, 1), (6, 80, 3, 2), (6, 160, 1, 1)]
    for stage, (expansion, after, count, first) in enumerate(stages):
        for block in range(count):
            place, stride, inner = f"blocks.{stage}.{block}.conv", 1 if block else first, x.shape[1] * expansion
            y = relu(w.norm(f"{place}.1", w.convolution(f"{place}.0", x, inner, 1)))
            y = relu(w.norm(f"{place}.4", w.convolution(f"{place}.3", y, inner, 3, stride, groups=inner)))
            y = w.norm(f"{place}.7", w.convolution(f"{place}.6", y, after, 1))
            x = x + y if stride == 1 and x.shape[1] == after else y
    return w.linear("classifier.0", mean(relu(w.norm("conv2.1", w.convolution("conv2.0", x, 1280, 1)))), 100)


def shuffled(x, groups):
    return x.unflatten(1, (groups, -1)).transpose(1, 2).flatten(1, 2)


def shuffle_v1(w, x):
    x = relu(w.norm("bn1", w.convolution("conv1", x, 24, 1)))
    for stage, (width, count) in enumerate(((240, 4), (480, 8), (960, 4)), 1):
        for block in range(count):
            place, after = f"layer{stage}.{block}", width if block else width - x.shape[1]
            groups, stride = 1 if x.shape[1] == 24 else 3, 1 if block else 2
            y = relu(w.norm(f"{place}.bn1", w.convolution(f"{place}.conv1", x, after // 4, 1, groups=groups)))
            y = w.convolution(f"{place}.conv2", shuffled(y, groups), after // 4, 3, stride, groups=after // 4)
            y = w.convolution(f"{place}.conv3", relu(w.norm(f"{place}.bn2", y)), after, 1, groups=3)
            y = w.norm(f"{place}.bn3", y)
            x = relu(x + y if block else torch.cat([y, functional.avg_pool2d(x, 3, 2, 1)], 1))
    return w.linear("linear", mean(x), 100)


def shuffle_v2(w, x):
    x = relu(w.norm("bn1", w.convolution("conv1", x, 24, 1)))
    for stage, (width, count) in enumerate(((116, 3), (232, 7), (464, 3)), 1):
        half = width // 2
        place, before = f"layer{stage}.0", x.shape[1]
        left = w.norm(f"{place}.bn1", w.convolution(f"{place}.conv1", x, before, 3, 2, groups=before))
        left = relu(w.norm(f"{place}.bn2", w.convolution(f"{place}.conv2", left, half, 1)))
        right = relu(w.norm(f"{place}.bn3", w.convolution(f"{place}.conv3", x, half, 1)))
        right = w.norm(f"{place}.bn4", w.convolution(f"{place}.conv4", right, half, 3, 2, groups=half))
        right = relu(w.norm(f"{place}.bn5", w.convolution(f"{place}.conv5", right, half, 1)))
        x = shuffled(torch.cat([left, right], 1), 2)
        for block in range(1, count + 1):
            place = f"layer{stage}.{block}"
            y = relu(w.norm(f"{place}.bn1", w.convolution(f"{place}.conv1", x[:, half:], half, 1)))
            y = w.norm(f"{place}.bn2", w.convolution(f"{place}.conv2", y, half, 3, groups=half))
            y = relu(w.norm(f"{place}.bn3", w.convolution(f"{place}.conv3", y, half, 1)))
            x = shuffled(torch.cat([x[:, :half], y], 1), 2)
    x = relu(w.norm("bn2", w.convolution("conv2", x, 1024, 1)))
    return w.linear("linear", mean(x), 100)
