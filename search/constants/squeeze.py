"""Compresses low scores before a surface is fitted, so that collapsed trainings do not bend it where it matters."""

from __future__ import annotations

import dataclasses

import numpy as np

from search.constants.points import Array

_GOOD, _WIDTHS = 0.6, 4.0
"""Scores stay unchanged down to `_WIDTHS` widths below the best. A width is its distance from the `_GOOD` quantile."""
_LEAST = 0.01
"""The smallest width, as a share of the distance from the best to the worst score."""


@dataclasses.dataclass(frozen=True)
class Squeeze:
    """A monotone function of scores: the identity above a knee, logarithmic below it. It can be undone."""

    knee: float
    width: float
    lowest: float
    """The lowest score; `undo` returns no lower one."""

    @staticmethod
    def of(scores: Array, noise: float) -> Squeeze:
        """Choose knee and width for scores, [N], with the noise of one training."""
        best, lowest = float(scores.max()), float(scores.min())
        width = max(best - float(np.quantile(scores, _GOOD)), _LEAST * (best - lowest), noise, 1e-9)
        return Squeeze(best - _WIDTHS * width, width, lowest)

    def apply(self, scores: Array) -> Array:
        """Squeeze scores, [N]."""
        below = np.maximum(self.knee - scores, 0.0) / self.width
        squeezed: Array = np.where(below > 0.0, self.knee - self.width * np.log1p(below), scores)
        return squeezed

    def undo(self, squeezed: Array) -> Array:
        """Return the original scores, [N]; none is lower than `lowest`."""
        floor = float(self.apply(np.array([self.lowest]))[0])
        kept = np.maximum(squeezed, floor)
        below = np.maximum(self.knee - kept, 0.0) / self.width
        scores: Array = np.where(below > 0.0, self.knee - self.width * np.expm1(below), kept)
        return scores
