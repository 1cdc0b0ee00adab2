"""Models by name. Importing this loads no torch; `create_model` does.

mlp, cnn, small-resnet: small networks for small pictures. resnet20 … resnet110: He et al. 2015 for CIFAR.
wrn-D-W: Wide ResNets. torchvision/NAME: any classification model of torchvision, with random weights.
"""

from __future__ import annotations

from trainables.models.registry import check_model, create_model, model_names

__all__ = ["check_model", "create_model", "model_names"]
