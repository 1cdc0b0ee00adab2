"""Holds what all trainings of a confirmation share: the search's data and teacher, and the opened test set."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from torch import nn

from search.prepare.foundation import Foundation
from trainables.functions import FunctionAssets
from trainables.pictures import Split
from trainables.tasks import Samples, Tree
from trainables.trainings import Assets


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pictures:
    """The data that every training of a confirmation reads; one copy for each node."""

    assets: Assets
    test: Split | Samples | None
    """The test set; None for a training function, which opens its own."""
    test_targets: npt.NDArray[np.float32] | Tree
    """The teacher's logits on the test pictures, [M, C]; M: test pictures, C: classes. None for a function."""
    sealed: bool = False
    """True if `test` is the validation set, so that a training function must not open its test set either."""

    @classmethod
    def without_test_set(cls, assets: Assets) -> Pictures:
        """Return the data of trainings that are judged on the validation set alone."""
        if isinstance(assets, FunctionAssets):
            return cls(assets=assets, test=None, test_targets=None, sealed=True)
        return cls(assets=assets, test=assets.validation, test_targets=assets.validation_targets, sealed=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Ground:
    """The prepared pictures and teacher."""

    pictures: Pictures
    teacher: nn.Module | None
    """The teacher, on the CPU and in evaluation mode; None if only its outputs are known here."""
    foundation: Foundation
    """The foundation, as in `search.prepare.preparation.Prepared`."""
    test_digest: str
    """A digest of the test pictures and their labels."""
