"""Offers a search's plan to Ray Tune."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from ray.tune.search import Searcher

from search.plan.clock import BudgetClock
from search.plan.plan import Plan
from search.plan.race import Turn
from search.records import BudgetEnd
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

    Tune pickles it into the search's folder and restores that. The settings may have changed since, as the search has
    grown, so a restored one takes those of the one that this process created last.

    Args:
        config: the search.
        clock: of its budget; None without one.
        ended: called with the search's settings once the budget has ended it. They have the rounds that were begun.
    """

    _of_this_run: PlannedSearch | None = None

    def __init__(
        self,
        config: SearchConfig,
        clock: BudgetClock | None = None,
        ended: Callable[[SearchConfig, BudgetEnd], None] | None = None,
    ) -> None:
        super().__init__(metric=METRIC, mode="max")
        self._config = config
        self._clock = clock
        self._ended = ended
        self._start_over()
        PlannedSearch._of_this_run = self

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for Tune's snapshots, without what belongs to this run."""
        return {**self.__dict__, "_plan": None, "_clock": None, "_ended": None}

    def _start_over(self) -> None:
        self._runs: dict[str, Run] = {}
        self._plan = self._plan_of(())

    def _plan_of(self, runs: Iterable[Run]) -> Plan:
        plan = Plan(self._config, self._opens)
        for run in sorted(runs, key=lambda run: (int(run.suggestion["trial"]), run.suggestion["seeds"])):
            plan.begin(run.suggestion)
            if run.ended:
                plan.end(int(run.suggestion["trial"]), run.scores)
        return plan

    @property
    def _trained(self) -> int:
        return sum(len(run.suggestion["seeds"]) for run in self._runs.values() if run.ended)

    def _opens(self, plan: Plan, turn: int) -> bool:
        """Tell whether the budget allows another round, with all that must still follow it."""
        more = plan.trainings(turn + 1) - self._trained
        return self._clock is None or self._clock.allows(more, self._trained)

    def _end_early(self) -> None:
        """Continue as the search that was planned with the rounds begun so far."""
        planned, rounds, clock = self._config.trials_per_family, self._plan.rounds, self._clock
        assert clock is not None
        more = clock.needed(self._plan.trainings(planned) - self._plan.trainings(rounds), self._trained)
        self._config = self._config.resized(trials_per_family=rounds)
        self._plan = self._plan_of(self._runs.values())
        if self._ended is not None:
            budget = str(self._config.budget)
            end = BudgetEnd(budget=budget, rounds=rounds, planned=planned, seconds=clock.spent, more_seconds=more)
            self._ended(self._config, end)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Give the next heat to run.

        Returns:
            A suggestion as `trainables.suggestion` describes it, with the policy's number, from 1, as `trial`; None
            while heats must end first or as many run as may; `Searcher.FINISHED` when all is done.
        """
        most = self._config.resources.max_concurrent
        if most is not None and sum(not run.ended for run in self._runs.values()) >= most:
            return None
        if self._clock is not None:
            self._clock.trials_begin(self._trained)
        suggestion = self._plan.next()
        if not isinstance(suggestion, Turn):
            self._runs[trial_id] = Run(trial_id, suggestion)
        if self._plan.rounds < self._config.trials_per_family:
            self._end_early()
            if isinstance(suggestion, Turn):
                return self.suggest(trial_id)
        if isinstance(suggestion, Turn):
            return None if suggestion is Turn.WAIT else str(Searcher.FINISHED)
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
        new = PlannedSearch._of_this_run
        if new is not None:
            self._config, self._clock, self._ended = new._config, new._clock, new._ended
            PlannedSearch._of_this_run = self
        runs = [Run(**values) for values in json.loads(pathlib.Path(checkpoint_path).read_bytes())]
        self._runs = {run.trial_id: run for run in runs}
        self._plan = self._plan_of(runs)


def scores_of(result: Mapping[str, Any]) -> list[float] | None:
    """Return the seeds' scores in a trial's last result; None if one is missing or not finite."""
    scores = [float(score) for score in result.get(SEED_SCORES, ())]
    return scores if scores and all(map(math.isfinite, scores)) else None


def dump_runs(runs: Iterable[Run]) -> bytes:
    """Write runs as `PlannedSearch.restore` reads them: plain JSON, which keeps numbers exactly."""
    return json.dumps([run._asdict() for run in runs]).encode()
