"""Computes a functional ANOVA of a few trials with Optuna, and how much it would change with other trials.

fANOVA (Hutter, Hoos and Leyton-Brown 2014, https://proceedings.mlr.press/v32/hutter14.html) fits a forest of
regression trees to the scores. It returns the share of the forest's variance that each setting explains alone. Each
tree is grown on a bootstrap of the trials, so one tree at a time gives the shares of as many resamples as there are
trees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from policies.parameter import Value
from search.propose import quiet_optuna

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution

Array: TypeAlias = npt.NDArray[np.float64]

_DEPTH = 4
"""Depth of a tree, which thus has at most 16 leaves: more would only follow the noise, and take longer."""


class Axis:
    """One setting: the range in which it was searched, and the trials' values in it.

    Args:
        values: one for each trial, names or numbers. Numbers among names count as names.
        declared: the range that was searched, if it is known; it is widened to the values.
        log: True if the numbers are spread over orders of magnitude. Shares are of the variance over the range, so the
            range must be the one that the search drew from.
    """

    def __init__(self, values: Sequence[Value], declared: tuple[float, float] | None = None, *, log: bool = False):
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        numbers = [float(value) for value in values if not isinstance(value, str)]
        self.values: tuple[str, ...] | tuple[float, ...]
        self.distribution: BaseDistribution
        if len(numbers) < len(values):
            self.values = tuple(map(str, values))
            self.distribution = CategoricalDistribution(sorted(set(self.values)))
            return
        ends = [*numbers, *(declared or ())]
        if log and min(ends) > 0:
            numbers, ends = [math.log(x) for x in numbers], [math.log(x) for x in ends]
        self.values = tuple(numbers)
        self.distribution = FloatDistribution(min(ends), max(ends))


def bootstrap_shares(
    axes: Mapping[str, Axis], scores: Sequence[float], *, resamples: int, trees: int = 1
) -> Array | None:
    """Return the shares of a forest for each seed, [R, D]; R: forests with something to split, D: settings.

    A forest of one tree is grown on one resample of the trials. Each row adds up to 1. The result is None if no forest
    had something to split.
    """
    study = _study(axes, scores)
    rows = [row for seed in range(resamples) if (row := _shares(study, trees=trees, seed=seed)) is not None]
    return np.stack(rows) if rows else None


def _study(axes: Mapping[str, Axis], scores: Sequence[float]) -> optuna.Study:
    import optuna

    with quiet_optuna():
        study = optuna.create_study(direction="maximize", storage=optuna.storages.InMemoryStorage())
        distributions = {name: axis.distribution for name, axis in axes.items()}
        study.add_trials(
            [
                optuna.create_trial(
                    params={name: axis.values[place] for name, axis in axes.items()},
                    distributions=distributions,
                    value=score,
                )
                for place, score in enumerate(scores)
            ]
        )
    return study


def _shares(study: optuna.Study, *, trees: int, seed: int) -> Array | None:
    from optuna.importance import FanovaImportanceEvaluator

    evaluator = FanovaImportanceEvaluator(n_trees=trees, max_depth=_DEPTH, seed=seed)
    try:
        found = evaluator.evaluate(study)
    except RuntimeError:  # every tree is a single leaf: no variance to divide
        return None
    row = np.array([found[name] for name in study.trials[0].params])
    total = row.sum()
    return row / total if math.isfinite(total) and total > 0.0 else None
