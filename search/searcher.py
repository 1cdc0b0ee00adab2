"""Optuna behind Ray Tune: what is tried next, with the same share for every family."""

from __future__ import annotations

import logging
import math
import warnings
from typing import Any

import optuna
from optuna.trial import TrialState
from ray.tune.search.optuna import OptunaSearch

from search.config import SearchConfig
from search.space import build_space, first_points

METRIC = "score"


def create_searcher(config: SearchConfig) -> FairSearch:
    """The searcher of a search: one study over all families, in memory, snapshotted by Tune.

    One study rather than one a family: what it learns about learning rate and temperature serves every family alike.
    The group-wise multivariate TPE models the parameters of one family together (arXiv 2304.11127).
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    space = build_space(config)
    with warnings.catch_warnings():
        # `group` may still change; the pinned range of Optuna and the tests of this file hold it.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            seed=config.seed,
            multivariate=True,
            group=True,
            constant_liar=True,
            n_startup_trials=2 * len(config.families),
        )
    return FairSearch(
        space=space,
        metric=METRIC,
        mode="max",
        points_to_evaluate=first_points(config, space),
        sampler=sampler,
    )


class FairSearch(OptunaSearch):  # type: ignore[misc]
    """`OptunaSearch` that survives a restore and a score that is no number."""

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Intermediate scores are not told: no pruner looks at them, and after a restore they may be stale."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study how a trial ended.

        A score that is not finite counts as a failure: Optuna would otherwise keep the trial as running for ever and,
        with the constant liar, hold its point against it. A trial that the study does not know (it was suggested
        after the last snapshot before a kill) is passed over.
        """
        if trial_id in self._completed_trials or trial_id not in self._ot_trials:
            return
        score = (result or {}).get(self.metric)
        if error or score is None or not math.isfinite(score):
            self._ot_study.tell(self._ot_trials[trial_id], state=TrialState.FAIL, skip_if_finished=True)
        else:
            self._ot_study.tell(self._ot_trials[trial_id], score, skip_if_finished=True)
        self._completed_trials.add(trial_id)


logging.getLogger("ray.tune.search.optuna.optuna_search").setLevel(logging.ERROR)
