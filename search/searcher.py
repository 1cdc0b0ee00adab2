"""Optuna behind Ray Tune: what is tried next, with the same share and the same luck for every family."""

from __future__ import annotations

import dataclasses
import math
import pathlib
import pickle
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.trial import TrialState
from ray.tune.search import Searcher

from policies.registry import create_policy
from search.config import SearchConfig
from search.racing import FamilyRace, Turn
from search.samplers import create_sampler
from search.space import SearchSpace, build_space
from trainables.objective import Direction
from trainables.suggestion import policy_parameters

METRIC = "score"


@dataclasses.dataclass
class _Course:
    """The search with one student: a study of what rounds share, and a study and a race for each family."""

    student: str
    rounds: optuna.Study
    families: dict[str, optuna.Study]
    races: dict[str, FamilyRace]


@dataclasses.dataclass
class _Round:
    """One pass over all families with one student, at one learning rate and temperature."""

    course: _Course
    trial: optuna.Trial
    shared: dict[str, Any]
    scores: list[float] = dataclasses.field(default_factory=list)
    ended: int = 0


@dataclasses.dataclass
class _Policy:
    """A policy that is tried: what was suggested, where its score is told, and which round it belongs to."""

    suggestion: dict[str, Any]
    trial: optuna.Trial
    round: _Round


class _Run(NamedTuple):
    """One of Tune's trials: a heat, from 0, of the policy with this number, from 1."""

    number: int
    heat: int


class FairSearch(Searcher):  # type: ignore[misc]
    """Tries every family once a round, all of a round with the same student, learning rate and temperature.

    So no family has more tries than another, and none owes its lead to a luckier learning rate. Each family's own
    parameters are modelled by a TPE of its own (arXiv 2304.11127, multivariate), which splits that family's trials into
    good and bad ones: in a study over all families the trials of a weaker family would all be bad, and it would be
    searched at random. Learning rate and temperature are modelled by another TPE, on the
    rounds' median scores.

    Where there are several students, rounds take them in turn, and each has studies of its own: the trials of a smaller
    student would all be bad ones in a study of both. Where the rule's complexity counts (`costs`), the families'
    studies have two objectives, and a trial is good if few others beat it in both.

    Where policies are raced (`search.racing`), each heat is a trial of Tune's. The studies are told the scores of the
    first heat: they are all over the same seeds, so a policy's score does not depend on how far it got. Further heats
    begin when all policies have been suggested, so they could not steer anything.

    Each student's first round tries everybody's defaults; its first rounds of `fixed` are the known baselines.

    The studies live in memory and are pickled into Tune's snapshots, whose truth they share.
    """

    def __init__(self, config: SearchConfig) -> None:
        super().__init__(metric=METRIC, mode="max")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space: SearchSpace = build_space(config)
        self._families = config.families
        self._baselines = config.baselines
        self._total = config.total_trials
        self._most_at_once = config.resources.max_concurrent
        self._heats = config.heats
        self._weighs_complexity = "complexity" in config.costs
        studies = len(config.students) * (len(config.families) + 1)
        seeds = iter(np.random.SeedSequence(config.seed).generate_state(studies).tolist())
        directions: list[Direction] = ["maximize", "minimize"] if self._weighs_complexity else ["maximize"]
        self._courses = [
            _Course(
                student=student,
                rounds=_study(config.sampler, next(seeds), ["maximize"]),
                families={family: _study(config.sampler, next(seeds), directions) for family in config.families},
                races={family: FamilyRace(self._heats, config.trials_per_family) for family in config.families},
            )
            for student in config.students
        ]
        self._rounds: list[_Round] = []
        self._policies: list[_Policy] = []
        self._lost: list[int] = []
        """Policies by number whose trial was lost before it began."""
        self._runs: dict[str, _Run] = {}
        self._ended: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next policy's first heat, or else another heat of one that has earned it.

        Returns:
            As `trainables.suggestion` describes it, with the policy's number, from 1, as `trial`; None while heats must
            be waited for or as many as may run at once do, and `Searcher.FINISHED` when all is done.
        """
        if self._most_at_once is not None and len(self._runs) - len(self._ended) >= self._most_at_once:
            return None
        if self._lost:
            return self._begin_heat(trial_id, self._lost.pop(0), 0)
        if len(self._policies) < self._total:
            return self._begin_heat(trial_id, self._new_policy(), 0)
        turns = []
        for race in (race for course in self._courses for race in course.races.values()):
            turn = race.promote()
            if not isinstance(turn, Turn):
                return self._begin_heat(trial_id, *turn)
            turns.append(turn)
        return None if Turn.WAIT in turns else str(Searcher.FINISHED)

    def _begin_heat(self, trial_id: str, number: int, heat: int) -> dict[str, Any]:
        self._runs[trial_id] = _Run(number, heat)
        return {**self._policies[number - 1].suggestion, "trial": number, "seeds": list(self._heats[heat].seeds)}

    def recall(self, trial_id: str, suggestion: Mapping[str, Any]) -> None:
        """Take in what was suggested after the snapshot that this searcher was restored from.

        Args:
            trial_id: Tune's.
            suggestion: as `suggest` gave it. What lies before it and is lost will be suggested anew.
        """
        number, seeds = int(suggestion["trial"]), list(suggestion["seeds"])
        heat = next(i for i, heat in enumerate(self._heats) if list(heat.seeds) == seeds)
        if heat > 0:
            self._policies[number - 1].round.course.races[suggestion["family"]].begin(number, heat)
        elif number in self._lost:  # by an earlier kill, and begun since
            self._lost.remove(number)
        else:
            while len(self._policies) < number - 1:
                same_round = len(self._policies) // len(self._families) == (number - 1) // len(self._families)
                self._lost.append(self._new_policy(peer=suggestion if same_round else None))
            self._new_policy(suggestion, peer=suggestion)
        self._runs[trial_id] = _Run(number, heat)

    def knows(self, trial_id: str) -> bool:
        """Whether one of Tune's trials was suggested by this searcher."""
        return trial_id in self._runs

    def _new_policy(self, known: Mapping[str, Any] | None = None, *, peer: Mapping[str, Any] | None = None) -> int:
        """Suggest a policy, or the one that is `known` to have been suggested; its number.

        Args:
            known: as `suggest` gave it.
            peer: the same of any policy of its round, whose learning rate and temperature are those of all.
        """
        number, place = divmod(len(self._policies), len(self._families))
        turn, place_of_student = divmod(number, len(self._courses))
        if place == 0:
            self._begin_round(self._courses[place_of_student], first=turn == 0, known=peer)
        family, of_round = self._families[place], self._rounds[-1]
        course, space, shared = of_round.course, self._space, of_round.shared
        if known is not None:
            given = {name: known[name] for name, variable in space.variables(family).items() if variable.varies}
        elif turn == 0:
            given = space.start(family)
        else:
            given = {name: value for name, value in shared.items() if space.shared[name].varies}
        if known is None and family == "fixed" and turn < len(self._baselines):
            given |= {"fixed.weight": self._baselines[turn]}
        study = course.families[family]
        study.enqueue_trial(given)
        trial = study.ask()
        suggestion = {"family": family, "student": course.student, **space.suggest(trial, family)}
        self._policies.append(_Policy(suggestion, trial, of_round))
        course.races[family].enter(len(self._policies))
        return len(self._policies)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Intermediate scores are not told: no pruner looks at them."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the race how a heat ended, and the studies if it was a policy's first.

        A score that is not finite counts as a failure: Optuna would otherwise keep the trial as running for ever. A
        trial that is not known (it was suggested after the last snapshot before a kill) is passed over.
        """
        run = self._runs.get(trial_id)
        if run is None or trial_id in self._ended:
            return
        self._ended.add(trial_id)
        score = None if error else (result or {}).get(METRIC)
        if score is not None and not math.isfinite(score):
            score = None
        policy = self._policies[run.number - 1]
        policy.round.course.races[policy.suggestion["family"]].end(run.number, score)
        if run.heat == 0:
            self._tell(policy, score)

    def _tell(self, policy: _Policy, score: float | None) -> None:
        of_round, suggestion = policy.round, policy.suggestion
        study, rounds = of_round.course.families[suggestion["family"]], of_round.course.rounds
        of_round.ended += 1
        if score is None:
            study.tell(policy.trial, state=TrialState.FAIL)
        else:
            study.tell(policy.trial, [score, _complexity(suggestion)] if self._weighs_complexity else score)
            of_round.scores.append(score)
        if of_round.ended == len(self._families):
            if of_round.scores:
                rounds.tell(of_round.trial, statistics.median(of_round.scores))
            else:
                rounds.tell(of_round.trial, state=TrialState.FAIL)

    def save(self, checkpoint_path: str) -> None:
        """Called by Tune for each snapshot."""
        pathlib.Path(checkpoint_path).write_bytes(self.dump())

    def restore(self, checkpoint_path: str) -> None:
        """Called by Tune when it restores from a snapshot."""
        self.load(pathlib.Path(checkpoint_path).read_bytes())

    def dump(self) -> bytes:
        """All that this searcher knows."""
        return pickle.dumps(self.__dict__)

    def load(self, state: bytes) -> None:
        """Go on from what `dump` gave."""
        self.__dict__.update(pickle.loads(state))

    def _begin_round(self, course: _Course, *, first: bool, known: Mapping[str, Any] | None) -> None:
        if known is not None:
            shared = self._space.shared.items()
            course.rounds.enqueue_trial({name: known[name] for name, variable in shared if variable.varies})
        elif first:
            course.rounds.enqueue_trial(self._space.start_shared())
        trial = course.rounds.ask()
        self._rounds.append(_Round(course, trial, self._space.suggest_shared(trial)))


def _complexity(suggestion: dict[str, Any]) -> float:
    return float(create_policy(suggestion["family"], dict(policy_parameters(suggestion))).complexity)


def _study(sampler: str, seed: int, directions: Sequence[Direction]) -> optuna.Study:
    return optuna.create_study(directions=directions, sampler=create_sampler(sampler, seed))
