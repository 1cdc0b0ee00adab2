"""Folds batch normalisations into convolutions: fewer layers with the same outputs, in evaluation mode."""

from __future__ import annotations

import copy
import itertools

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

_NORMALISATIONS: dict[type[nn.Module], type[nn.Module]] = {nn.Conv1d: nn.BatchNorm1d, nn.Conv2d: nn.BatchNorm2d}


def folded(model: nn.Module) -> nn.Module:
    """Return a network in which batch normalisations in evaluation mode are part of the convolutions before them.

    Only neighbours in an `nn.Sequential`, which runs its layers in order, are folded. Without such neighbours the
    network itself is returned, else a copy. Outputs differ by rounding only.
    """
    if not any(_foldable(part) for part in model.modules()):
        return model
    model = copy.deepcopy(model)
    for part in list(model.modules()):
        for index in _foldable(part):
            assert isinstance(part, nn.Sequential)  # other modules have none
            part[index] = fuse_conv_bn_eval(part[index], part[index + 1])  # type: ignore[type-var, arg-type]
            part[index + 1] = nn.Identity()
    return model


def _foldable(part: nn.Module) -> list[int]:
    """Return the places of convolutions that the layer after them can be folded into."""
    if not isinstance(part, nn.Sequential) or type(part).forward is not nn.Sequential.forward:
        return []
    return [index for index, both in enumerate(itertools.pairwise(part)) if _fit(*both)]


def _fit(convolution: nn.Module, normalisation: nn.Module) -> bool:
    kind = _NORMALISATIONS.get(type(convolution))
    if kind is None or type(normalisation) is not kind or convolution.training or normalisation.training:
        return False
    watched = any(module._forward_hooks or module._forward_pre_hooks for module in (convolution, normalisation))
    return not watched and getattr(normalisation, "running_mean", None) is not None
