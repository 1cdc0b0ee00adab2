"""Decides what a search tries next, as a function of its settings and of the trials that have ended.

A trial's place is its number. Rules come in rounds: a round tries every family once, with one student, at one learning
rate and temperature. Constant λ come in a sequence of their own, for each student, until the best one is bracketed.

A proposal depends on the settings and on scores of earlier trials with a fixed lag, never on the order in which trials
end. So the same settings give the same search for any number of workers, and after any interruption. Retries and kills
change nothing; a trial that failed is known to have failed.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from policies.parameter import Value
from policies.registry import create_policy
from search.constants import (
    ConstantPoint,
    ConstantScore,
    Enough,
    first_points,
    fit_surface,
    next_point,
    point_of,
    surface_domain,
)
from search.plan.numbers import TrialNumbers
from search.plan.race import FamilyRace, Turn
from search.propose import Observation, build_space, completed, propose, seed_of
from search.records import TrialRecord
from search.settings import CONSTANT_FAMILY, SearchConfig, planned_trainings
from trainables.suggestion import policy_parameters

_CONTEXT_LAG = 1
"""A round's learning rate and temperature use results that are this many rounds older than those for its rules. All
families decide them, so with the same lag the slowest family would hold up all."""
_USUAL = 5
"""Constants after the first design until the best one is usually bracketed."""


@dataclasses.dataclass
class _Trial:
    """A trial that has begun: its suggestion, and the score of its first heat."""

    suggestion: Mapping[str, Any]
    ended: bool = False
    """True if its first heat has ended or failed."""
    scores: Sequence[float] | None = None
    """The scores of the first heat by seed, on seeds that all trials of the family share; None where it failed."""

    @property
    def score(self) -> float | None:
        """The mean of `scores`."""
        return None if self.scores is None else statistics.fmean(self.scores)


class Plan:
    """A search's trials: which have begun, how they ended, and what comes next.

    Args:
        config: the search.
        opens: called with a round, from 0, before its first trial begins; if it returns False, the plan ends before
            that round. `rounds` then says so. The first round is always begun.
    """

    def __init__(self, config: SearchConfig, opens: Callable[[Plan, int], bool] | None = None) -> None:
        self.config = config
        self.rounds = config.trials_per_family
        """The number of rounds; smaller than the settings' once the plan was ended."""
        self._opens = opens
        self._opened = 1
        """The number of rounds that have begun or may."""
        self._numbers = TrialNumbers(config)
        self._space = build_space(config)
        self._students = tuple(config.students)
        self._trials: dict[int, _Trial] = {}
        self._contexts: dict[tuple[str, int], Mapping[str, Value]] = {}
        self._domain = surface_domain(config)
        self._first_constants = 0
        if CONSTANT_FAMILY in config.families:
            first = len(first_points(self._domain, config.seed))
            self._first_constants = min(first, config.constant.most_trials)
        self._weighs_complexity = "complexity" in config.costs
        self._races: dict[tuple[str, str], FamilyRace] = {}
        for student in self._students:
            for family in config.families:
                trials = None if family == CONSTANT_FAMILY else config.trials_per_family
                self._races[student, family] = FamilyRace(config.heats_of_family(family), trials)
        self._enough: dict[str, int] = {}
        """The number of constants tried, by student, where the best one is bracketed or the budget is spent."""
        if CONSTANT_FAMILY not in config.families:
            self._enough = dict.fromkeys(self._students, 0)

    # What has happened

    def begin(self, suggestion: Mapping[str, Any]) -> None:
        """Note that a heat that `next` suggested has begun."""
        number, race = int(suggestion["trial"]), self._race(suggestion)
        heats = self.config.heats_of_family(str(suggestion["family"]))
        heat = next(i for i, heat in enumerate(heats) if list(heat.seeds) == list(suggestion["seeds"]))
        if heat == 0:
            self._trials[number] = _Trial(suggestion)
            self._note_round(number, suggestion)
        race.begin(number, heat)

    def end(self, number: int, scores: Sequence[float] | None) -> None:
        """Note that a trial's heat has ended, with its seeds' scores in their order, or None where it failed."""
        trial = self._trials[number]
        self._race(trial.suggestion).end(number, None if scores is None else statistics.fmean(scores))
        if not trial.ended:
            trial.ended, trial.scores = True, scores

    def _note_round(self, number: int, suggestion: Mapping[str, Any]) -> None:
        """Keep the learning rate and temperature of a trial's round, which families added later use too."""
        turn = self._numbers.turn(number)
        if turn is not None:
            place = str(suggestion["student"]), turn
            self._contexts.setdefault(place, {name: suggestion[name] for name in self._space.shared})
            self._opened = max(self._opened, turn + 1)

    # What comes next

    def next(self) -> dict[str, Any] | Turn:
        """Return the next heat to run, as its trial's suggestion with its number and the heat's seeds.

        The heat counts as begun. If there is none, the answer is that heats must end first, or that none is left.
        """
        found = self._next_trial()
        if found is not None:
            number, suggestion = found
            return self._begin(number, 0, suggestion)
        turns = {Turn.WAIT} if self._unproposed() else set()
        for (student, family), race in self._races.items():
            if family == CONSTANT_FAMILY and student in self._enough:
                race.close()
            turn = race.promote(self._worth_of_constants(student) if family == CONSTANT_FAMILY else None)
            if not isinstance(turn, Turn):
                number, heat = turn
                return self._begin(number, heat, self._trials[number].suggestion)
            turns.add(turn)
        return Turn.WAIT if Turn.WAIT in turns else Turn.OVER

    @property
    def trials(self) -> int | None:
        """The number of trials of the whole search; None while the best constant is not bracketed."""
        for student in self._open_constants():
            self._next_constant_of(student)  # notes the students that have enough
        if self._open_constants():
            return None
        return self.config.rule_trials + sum(self._enough.values())

    def trainings(self, rounds: int) -> int:
        """Estimate the trainings of the whole search, one for each seed, if it had so many rounds.

        A best constant that is still searched for is taken to be bracketed a few constants after the first design.
        """
        config = self.config.model_copy(update={"trials_per_family": rounds})
        total = planned_trainings(config.heats) * len(config.rule_families) * len(self._students)
        for student in self._students if self._first_constants else ():
            soon = min(max(self._first_constants + _USUAL, self._constants_begun(student)), config.constant.most_trials)
            tried = self._enough.get(student, soon)
            heats = config.heats_of_family(CONSTANT_FAMILY)
            total += sum(len(heat.seeds) * min(heat.entrants, tried) for heat in heats)
        return total

    def _begin(self, number: int, heat: int, suggestion: Mapping[str, Any]) -> dict[str, Any]:
        seeds = self.config.heats_of_family(str(suggestion["family"]))[heat].seeds
        begun = {**suggestion, "trial": number, "seeds": list(seeds)}
        self.begin(begun)
        return begun

    def _next_trial(self) -> tuple[int, dict[str, Any]] | None:
        """Return a trial that can be proposed by now: the first constants, then constants and rules in turn."""
        constants = sum(self._numbers.turn(number) is None for number in self._trials)
        lanes = [self._next_constant, self._next_rule]
        if constants > max(len(self._trials) - constants, len(self._students) * self._first_constants - 1):
            lanes.reverse()
        for lane in lanes:
            if (found := lane()) is not None:
                return found
        return None

    def _unproposed(self) -> bool:
        return any(self._waiting_rules()) or bool(self._open_constants())

    # Rules

    def _number(self, student: str, family: str, turn: int) -> int:
        """Return the number of a family's trial in a student's round, from 0."""
        return self._numbers.rule(student, family, turn)

    def _next_rule(self) -> tuple[int, dict[str, Any]] | None:
        for number, student, family, turn in sorted(self._waiting_rules()):
            known = range(max(0, turn - self.config.proposal_lag + 1))
            if all(self._has_ended(self._number(student, family, earlier)) for earlier in known):
                context = self._context(student, turn)
                if context is not None and self._may_begin(turn):
                    return number, self._propose(student, family, turn, context)
        return None

    def _may_begin(self, turn: int) -> bool:
        """Tell whether a trial of a round may begin; ask `opens` if it would be the round's first."""
        if turn < self._opened or self._opens is None:
            return turn < self.rounds
        if turn < self.rounds and not self._opens(self, turn):
            self.rounds = self._opened
        return turn < self.rounds

    def _waiting_rules(self) -> Iterator[tuple[int, str, str, int]]:
        """Yield each family's first trial that has not begun, with each student."""
        for student in self._students:
            for family in self.config.rule_families:
                for turn in range(self.rounds):
                    number = self._number(student, family, turn)
                    if number not in self._trials:
                        yield number, student, family, turn
                        break

    def _propose(self, student: str, family: str, turn: int, context: Mapping[str, Value]) -> dict[str, Any]:
        own = self._space.own(family)
        chosen: Mapping[str, Value] = {}
        if turn > 0:
            earlier = [self._observation(self._number(student, family, other)) for other in range(turn)]
            known = max(0, turn - self.config.proposal_lag + 1)
            chosen = propose(
                own,
                context=context,
                contexts=self._space.shared,
                observed=earlier[:known],
                pending=earlier[known:],
                sampler=self.config.sampler,
                seed=seed_of(self.config.seed, student, family),
                round_number=turn,
                directions=("maximize", "minimize") if self._weighs_complexity else ("maximize",),
            )
        return {"family": family, "student": student, **context, **completed(own, chosen)}

    def _observation(self, number: int) -> Observation:
        trial = self._trials[number]
        suggestion, shared = trial.suggestion, self._space.shared
        own = {name: suggestion[name] for name in self._space.own(str(suggestion["family"]))}
        values = None
        if trial.score is not None:
            values = (trial.score, _complexity(suggestion)) if self._weighs_complexity else (trial.score,)
        return Observation(own, {name: suggestion[name] for name in shared}, values)

    def _context(self, student: str, turn: int) -> Mapping[str, Value] | None:
        """Return learning rate and temperature of a student's round; None while rounds that decide them run."""
        if (student, turn) in self._contexts:
            return self._contexts[student, turn]
        shared, families = self._space.shared, self.config.rule_families
        if turn % 2 == 1 and self._constants_known_to(turn) > 0:
            return self._context_of_constants(student, turn)
        known = max(0, turn - self.config.proposal_lag - _CONTEXT_LAG + 1)
        rounds = [[self._number(student, family, earlier) for family in families] for earlier in range(known)]
        if not all(self._has_ended(number) for numbers in rounds for number in numbers):
            return None
        chosen: Mapping[str, Value] = {}
        if turn > 0:
            earlier = [self._context(student, other) for other in range(turn)]
            # Each was decided by older results than this one, so all are known.
            contexts = [context for context in earlier if context is not None]
            medians = [self._median(numbers) for numbers in rounds]
            chosen = propose(
                shared,
                context={},
                contexts={},
                observed=[Observation(context, {}, median) for context, median in zip(contexts, medians, strict=False)],
                pending=[Observation(context, {}) for context in contexts[known:]],
                sampler=self.config.sampler,
                seed=seed_of(seed_of(self.config.seed, student), "context"),
                round_number=turn,
            )
        self._contexts[student, turn] = completed(shared, chosen)
        return self._contexts[student, turn]

    def _context_of_constants(self, student: str, turn: int) -> Mapping[str, Value] | None:
        """Return the best constant's learning rate and temperature, as a round knows them; None before it does.

        Every second round uses them. Constants are tried at many settings and rules at few, so rules would
        otherwise lose by their learning rate alone.
        """
        tried = min(self._constants_known_to(turn), self._enough.get(student, self.config.constant.most_trials))
        numbers = [self._constant_number(student, index) for index in range(tried)]
        if not all(map(self._has_ended, numbers)):
            return None
        surface = fit_surface([self._constant_score(number) for number in numbers], self._domain)
        chosen = {} if surface is None else surface.chosen.shared
        self._contexts[student, turn] = completed(self._space.shared, chosen)
        return self._contexts[student, turn]

    def _constants_known_to(self, turn: int) -> int:
        """Count the constants that decide a round's context if none is bracketed sooner; 0 without constants."""
        if CONSTANT_FAMILY not in self.config.families or not self._domain.settings:
            return 0
        known = self._first_constants + max(turn - 2, 0) * len(self.config.rule_families)
        return min(known, self.config.constant.most_trials)

    def _median(self, numbers: Sequence[int]) -> tuple[float] | None:
        scores = [score for score in (self._trials[number].score for number in numbers) if score is not None]
        return (statistics.median(scores),) if scores else None

    # Constants

    def _open_constants(self) -> list[str]:
        """Return the students whose best constant is still searched for."""
        return [student for student in self._students if student not in self._enough]

    def _constant_number(self, student: str, index: int) -> int:
        return self._numbers.constant(student, index)

    def _next_constant(self) -> tuple[int, dict[str, Any]] | None:
        for student in sorted(self._open_constants(), key=self._constants_begun):
            if (found := self._next_constant_of(student)) is not None:
                return found
        return None

    def _next_constant_of(self, student: str) -> tuple[int, dict[str, Any]] | None:
        """Return the next constant with a student; None if earlier ones must end first, or there were enough.

        Whether there were enough is decided when all that were begun have ended.
        """
        index = self._constants_begun(student)
        numbers = [self._constant_number(student, earlier) for earlier in range(index)]
        all_ended = all(map(self._has_ended, numbers))
        known = max(0, index - self.config.proposal_lag + 1)
        if index < self.config.constant.most_trials and all(map(self._has_ended, numbers[:known])):
            point = self._point(student, index, numbers, known)
            if isinstance(point, Enough) and all_ended:
                point = self._point(student, index, numbers, index)
            if not isinstance(point, Enough):
                return self._constant_number(student, index), self._suggestion_of(student, point)
        if all_ended:
            self._enough[student] = index
        return None

    def _point(self, student: str, index: int, numbers: Sequence[int], known: int) -> ConstantPoint | Enough:
        return next_point(
            self._domain,
            seed_of(self.config.seed, student, CONSTANT_FAMILY),
            index,
            [self._constant_score(number) for number in numbers[:known]],
            [self._place(self._trials[number].suggestion) for number in numbers[known:]],
        )

    def _constants_begun(self, student: str) -> int:
        most = self.config.constant.most_trials
        begun = (index for index in range(most) if self._constant_number(student, index) not in self._trials)
        return next(begun, most)

    def _constant_score(self, number: int) -> ConstantScore | None:
        trial = self._trials[number]
        if trial.scores is None:
            return None
        seeds = self.config.heats_of_family(CONSTANT_FAMILY)[0].seeds
        return ConstantScore(point=self._place(trial.suggestion), scores=dict(zip(seeds, trial.scores, strict=True)))

    def _place(self, suggestion: Mapping[str, Any]) -> ConstantPoint:
        return point_of(self._domain, float(suggestion[f"{CONSTANT_FAMILY}.weight"]), suggestion)

    def _suggestion_of(self, student: str, point: ConstantPoint) -> dict[str, Any]:
        shared = completed(self._space.shared, point.shared)
        return {"family": CONSTANT_FAMILY, "student": student, **shared, f"{CONSTANT_FAMILY}.weight": point.weight}

    def _worth_of_constants(self, student: str) -> Callable[[int], float] | None:
        """Return a constant's expected score by its number, so that no lucky seed promotes one; None until all end."""
        if student not in self._enough:
            return None
        numbers = [self._constant_number(student, index) for index in range(self._enough[student])]
        surface = fit_surface([self._constant_score(number) for number in numbers], self._domain)
        if surface is None:
            return None
        points = [self._place(self._trials[number].suggestion) for number in numbers]
        worth = dict(zip(numbers, surface.mean(points).tolist(), strict=True))
        return worth.__getitem__

    # Both

    def _has_ended(self, number: int) -> bool:
        trial = self._trials.get(number)
        return trial is not None and trial.ended

    def _race(self, suggestion: Mapping[str, Any]) -> FamilyRace:
        return self._races[str(suggestion["student"]), str(suggestion["family"])]


def planned_trials(config: SearchConfig, trials: Iterable[TrialRecord]) -> int | None:
    """Count the trials that a search has in all; None while its best constant is not bracketed.

    Args:
        config: of the search.
        trials: those that have begun.
    """
    plan = Plan(config)
    seeds, objective = list(config.heats_of_family(CONSTANT_FAMILY)[0].seeds), config.base_trial().objective
    for trial in trials:
        if trial.family == CONSTANT_FAMILY:
            own = {f"{CONSTANT_FAMILY}.{name}": value for name, value in trial.parameters.items()}
            common = {"family": trial.family, "student": trial.student, "trial": trial.number, "seeds": seeds}
            plan.begin({**common, **trial.shared, **own})
            if len(trial.seeds) >= len(seeds) or trial.status == "failed":
                first = (trial.opening or trial.history).replicates
                plan.end(trial.number, [objective.score_of(replicate) for replicate in first] or None)
    return plan.trials


def _complexity(suggestion: Mapping[str, Any]) -> float:
    return float(create_policy(str(suggestion["family"]), dict(policy_parameters(suggestion))).complexity)
