"""Offers a search's plan to Ray Tune."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ray.tune.search import Searcher

from search.plan.plan import Plan
from search.plan.race import Turn
from search.settings import SearchConfig

METRIC = "score"
SEED_SCORES = "seed_scores"
"""The key in a trial's last result for the scores that `METRIC` is the mean of."""


class Run(NamedTuple):
    """One of Tune's trials: a heat of a policy, as it was suggested, and how it ended if it has."""

    trial_id: str
    suggestion: Mapping[str, Any]
    ended: bool = False
    scores: list[float] | None = None
    """Its seeds' scores, in their order; None where it failed."""


class PlannedSearch(Searcher):  # type: ignore[misc]
    """Gives Tune the heats of a plan, and reports to the plan how they ended.

    All that it knows are Tune's own trials, so a restored search needs no memory of a sampler. The plan is rebuilt from
    the trials, and proposes what it would have proposed without the interruption.
    """

    def __init__(self, config: SearchConfig) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._config = config
        self._start_over()

    def _start_over(self) -> None:
        self._plan = Plan(self._config)
        self._runs: dict[str, Run] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Give the next heat to run.

        Returns:
            A suggestion as `trainables.suggestion` describes it, with the policy's number, from 1, as `trial`; None
            while heats must end first or as many run as may; `Searcher.FINISHED` when all is done.
        """
        most = self._config.resources.max_concurrent
        if most is not None and sum(not run.ended for run in self._runs.values()) >= most:
            return None
        suggestion = self._plan.next()
        if isinstance(suggestion, Turn):
            return None if suggestion is Turn.WAIT else str(Searcher.FINISHED)
        self._runs[trial_id] = Run(trial_id, suggestion)
        return dict(suggestion)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Note how a heat ended; a score that is not finite is a failure."""
        run = self._runs.get(trial_id)
        if run is None or run.ended:
            return
        scores = None if error else scores_of(result or {})
        self._runs[trial_id] = run._replace(ended=True, scores=scores)
        self._plan.end(int(run.suggestion["trial"]), scores)

    def save(self, checkpoint_path: str) -> None:
        """Write the trials; Tune calls this for each snapshot."""
        pathlib.Path(checkpoint_path).write_bytes(dump_runs(self._runs.values()))

    def restore(self, checkpoint_path: str) -> None:
        """Rebuild the plan from what `save` or `dump_runs` wrote; Tune calls this when it restores."""
        self._start_over()
        runs = [Run(**values) for values in json.loads(pathlib.Path(checkpoint_path).read_bytes())]
        for run in sorted(runs, key=lambda run: (int(run.suggestion["trial"]), run.suggestion["seeds"])):
            self._runs[run.trial_id] = run
            self._plan.begin(run.suggestion)
            if run.ended:
                self._plan.end(int(run.suggestion["trial"]), run.scores)


def scores_of(result: Mapping[str, Any]) -> list[float] | None:
    """Return the seeds' scores in a trial's last result; None if one is missing or not finite."""
    scores = [float(score) for score in result.get(SEED_SCORES, ())]
    return scores if scores and all(map(math.isfinite, scores)) else None


def dump_runs(runs: Iterable[Run]) -> bytes:
    """Write runs as `PlannedSearch.restore` reads them: plain JSON, which keeps numbers exactly."""
    return json.dumps([run._asdict() for run in runs]).encode()
