"""Two KPIs to copy from: `kpis = ["my_kpis.py:recall_of_class_3", "my_kpis.py:accuracy_in_noise"]`.

docs/kpis.md describes what such a function gets and returns.
"""

from __future__ import annotations

import torch
from torch import nn

from trainables.evaluation import KPIData


def recall_of_class_3(model: nn.Module, data: KPIData) -> float:
    """Return the share of the pictures of class 3 that are recognised, in [0, 1]; 0 if there are none."""
    of_class = data.labels == 3
    found = data.logits.argmax(dim=1)[of_class] == 3
    return float(found.float().mean()) if len(found) else 0.0


def accuracy_in_noise(model: nn.Module, data: KPIData) -> torch.Tensor:
    """Return True for each picture that is recognised under Gaussian noise of half a pixel's standard deviation, [N].

    The KPI is the mean of the returned values. With one value a picture, a confirmation can tell how far the KPI may
    differ on new pictures.
    """
    predicted = [model(images + 0.5 * torch.randn_like(images)).argmax(dim=1) for images in data.images]
    return torch.cat(predicted) == data.labels
