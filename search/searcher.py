"""Optuna behind Ray Tune: what is tried next, with the same share and the same luck for every family."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import pickle
import statistics
from typing import Any

import numpy as np
import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from search.config import SearchConfig
from search.space import SearchSpace, build_space

METRIC = "score"
_RANDOM_TRIALS = 4  # of a study, before TPE has enough to model


@dataclasses.dataclass
class _Round:
    """One pass over all families at one learning rate and temperature."""

    trial: optuna.Trial
    shared: dict[str, Any]
    scores: list[float] = dataclasses.field(default_factory=list)
    ended: int = 0


@dataclasses.dataclass
class _Asked:
    """A suggested trial: where it is told, and which round it belongs to."""

    family: str
    trial: optuna.Trial
    round: int


class FairSearch(Searcher):  # type: ignore[misc]
    """Tries every family once a round, all of a round at the same learning rate and temperature.

    So no family has more tries than another, and none owes its lead to a luckier learning rate. Each family's own
    parameters are modelled by a TPE of its own (arXiv 2304.11127, multivariate), which splits that family's trials into
    good and bad ones: in a study over all families the trials of a weaker family would all be bad, and it would be
    searched at random. Learning rate and temperature are modelled by another TPE, on the
    rounds' median scores.

    The first round tries everybody's defaults; the first rounds of `fixed` are the known baselines.

    The studies live in memory and are pickled into Tune's snapshots, whose truth they share.
    """

    def __init__(self, config: SearchConfig) -> None:
        super().__init__(metric=METRIC, mode="max")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space: SearchSpace = build_space(config)
        self._families = config.families
        self._baselines = config.baselines
        seeds = np.random.SeedSequence(config.seed).generate_state(len(config.families) + 1).tolist()
        self._rounds_study = _study(seeds[0])
        self._studies = {family: _study(seed) for family, seed in zip(config.families, seeds[1:], strict=True)}
        self._rounds: list[_Round] = []
        self._asked: dict[str, _Asked] = {}
        self._ended: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """The next trial, as `trainables.suggestion` describes it."""
        turn, place = divmod(len(self._asked), len(self._families))
        if place == 0:
            self._begin_round(first=turn == 0)
        family = self._families[place]
        space, shared = self._space, self._rounds[turn].shared
        if turn == 0:
            given = space.start(family)
        else:
            given = {name: value for name, value in shared.items() if space.shared[name].varies}
        if family == "fixed" and turn < len(self._baselines):
            given |= {"fixed.weight": self._baselines[turn]}
        study = self._studies[family]
        study.enqueue_trial(given)
        trial = study.ask()
        suggestion = {"family": family, **space.suggest(trial, family)}
        self._asked[trial_id] = _Asked(family, trial, turn)
        return suggestion

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Intermediate scores are not told: no pruner looks at them."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the studies how a trial ended.

        A score that is not finite counts as a failure: Optuna would otherwise keep the trial as running for ever. A
        trial that is not known (it was suggested after the last snapshot before a kill) is passed over.
        """
        asked = self._asked.get(trial_id)
        if asked is None or trial_id in self._ended:
            return
        self._ended.add(trial_id)
        score = None if error else (result or {}).get(METRIC)
        of_round = self._rounds[asked.round]
        of_round.ended += 1
        if score is None or not math.isfinite(score):
            self._studies[asked.family].tell(asked.trial, state=TrialState.FAIL)
        else:
            self._studies[asked.family].tell(asked.trial, score)
            of_round.scores.append(score)
        if of_round.ended == len(self._families):
            if of_round.scores:
                self._rounds_study.tell(of_round.trial, statistics.median(of_round.scores))
            else:
                self._rounds_study.tell(of_round.trial, state=TrialState.FAIL)

    def save(self, checkpoint_path: str) -> None:
        """Called by Tune for each snapshot."""
        pathlib.Path(checkpoint_path).write_bytes(pickle.dumps(self.__dict__))

    def restore(self, checkpoint_path: str) -> None:
        """Called by Tune when it restores from a snapshot."""
        self.__dict__.update(pickle.loads(pathlib.Path(checkpoint_path).read_bytes()))

    def _begin_round(self, *, first: bool) -> None:
        if first:
            self._rounds_study.enqueue_trial(self._space.start_shared())
        trial = self._rounds_study.ask()
        self._rounds.append(_Round(trial, self._space.suggest_shared(trial)))


def _study(seed: int) -> optuna.Study:
    sampler = optuna.samplers.TPESampler(
        seed=seed, multivariate=True, constant_liar=True, n_startup_trials=_RANDOM_TRIALS
    )
    return optuna.create_study(direction="maximize", sampler=sampler)
