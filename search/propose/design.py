"""Proposes points of a low-discrepancy design, which is even and ignores scores."""

from __future__ import annotations

import numpy as np
from optuna import Study

from policies.parameter import Value
from search.propose.gaussian_parts import even_points
from search.propose.question import Question

_LOOK_AHEAD = 64


def design_point(question: Question, study: Study) -> dict[str, Value]:
    """Return the round's point of one scrambled Sobol sequence; the first round, number 0, has the defaults.

    If all parameters are discrete, points that a trial has already are skipped while there are others.
    """
    cube, first = question.own, max(question.place - 1, 0)
    points = cube.snap(even_points(len(cube.axes), first + _LOOK_AHEAD, question.design_seed))
    trials = study.get_trials(deepcopy=False)
    taken = np.array([cube.encode(trial.params) for trial in trials]).reshape(-1, len(cube.axes))
    for point in points[first:]:
        if not np.any(np.all(np.isclose(taken, point), axis=1)):
            return cube.decode(point)
    return cube.decode(points[first])
