"""Proposes points of a low-discrepancy design, which is even and ignores scores."""

from __future__ import annotations

import numpy as np
from optuna import Study
from optuna.trial import FrozenTrial
from scipy.stats import qmc

from policies.parameter import Value
from search.propose.base import QuestionSampler
from search.propose.cube import Array


def design(axes: int, seed: int, count: int) -> Array:
    """Draw scrambled Sobol points, [count, axes]; the first points are the same for every count (arXiv 2008.08051)."""
    points: Array = qmc.Sobol(axes, scramble=True, rng=seed).random_base2(max(count - 1, 1).bit_length())[:count]
    return points


class DesignSampler(QuestionSampler):
    """Gives each round the next point of one scrambled Sobol sequence; the first round, number 0, has the defaults.

    If all parameters are discrete, points that a trial has already are skipped while there are others.
    """

    LOOK_AHEAD = 64

    def answer(self, trials: list[FrozenTrial], study: Study) -> dict[str, Value]:  # noqa: ARG002
        cube, first = self.question.own, max(self.question.place - 1, 0)
        points = cube.snap(design(len(cube.axes), self.question.design_seed, first + self.LOOK_AHEAD))
        taken = np.array([cube.encode(trial.params) for trial in trials]).reshape(-1, len(cube.axes))
        for point in points[first:]:
            if not np.any(np.all(np.isclose(taken, point), axis=1)):
                return cube.decode(point)
        return cube.decode(points[first])
