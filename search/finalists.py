"""Who is confirmed: the best rule of each family, and the constants that such a rule must beat.

A rule may owe its lead over the constants to the learning rate that it was tried at. So constants are retried at the
learning rates and temperatures of the best rules, where they may turn out better than the search's best constant.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from policies.registry import create_policy
from search.commands import next_command
from search.config import SearchConfig
from search.confirmation import ConfirmationSettings, Finalist, Role
from search.errors import SearchError, nearest
from search.launch import Launch
from search.records import SearchRecord, TrialRecord

_CONSTANT = "fixed"
_RIVALS = 3
"""How many constant weights are worth retrying."""
_APART = 0.1
"""Weights closer than this are one try at the same thing."""


@dataclasses.dataclass(frozen=True)
class Selection:
    """The finalists, rules first, and the families that have none with the reason why."""

    finalists: tuple[Finalist, ...]
    left_out: dict[str, str]


def choose_finalists(
    search: SearchRecord, config: SearchConfig, settings: ConfirmationSettings, launch: Launch | None = None
) -> Selection:
    """The finalists of a finished search: of one student's trials, `settings.student`'s or else the best trial's.

    1. Of each family its best trial, with that trial's own learning rate and temperature.
    2. The best constant: the best trial of `fixed`.
    3. The labels alone (λ = 0) and the teacher alone (λ = 1), at the best constant's learning rate and temperature.
    4. At most `settings.more_constants` more: the three best weights of the search that lie at least 0.1 apart, at the
       learning rates and temperatures of the rules. The better rule and the better weight come first.

    Without trials of `fixed`, the best rule's learning rate and temperature stand in for the best constant's, and the
    search's `baselines` for its weights. Who would come twice comes once.

    Raises:
        SearchError: no trial has finished, or a family is asked for that the search did not try.
    """
    if settings.student is not None and settings.student not in config.students:
        raise SearchError(
            f"`--student` must name a student of the search {search.name!r} ({', '.join(config.students)}), but"
            f" {settings.student!r} is none.{nearest(settings.student, config.students)}"
        )
    asked = config.families if settings.families is None else settings.families
    for family in asked:
        if family not in config.families:
            raise SearchError(
                f"`--families` must name families of the search {search.name!r} ({', '.join(config.families)}), but"
                f" {family!r} is none.{nearest(family, config.families)}"
            )
    search = search.of_student(settings.student)
    if not search.finished:
        with_student = "" if settings.student is None else f" with the student {settings.student!r}"
        raise SearchError(
            f"no trial of the search {search.name!r}{with_student} has finished, so there is nothing to confirm;"
            f" `{next_command('report', search.name, launch)}` tells what went wrong."
        )
    best: dict[str, TrialRecord] = {}
    for trial in search.finished:
        best.setdefault(trial.family, trial)
    left_out = {family: "none of its trials has finished" for family in config.families if family not in best}
    left_out |= {family: "not asked for" for family in best if family not in asked and family != _CONSTANT}
    rules = [trial for family, trial in best.items() if family in asked and family != _CONSTANT]
    constants = _constants(search, config, best.get(_CONSTANT), rules, settings.more_constants)
    return Selection((*map(_rule, rules), *constants), left_out)


@dataclasses.dataclass(frozen=True)
class _Candidate:
    """A constant weight at a learning rate and temperature, as far as these were searched."""

    weight: float
    shared: Mapping[str, float | int]
    place: str = ""
    """Ends the key where it would not be unique without."""

    @property
    def key(self) -> str:
        """Unique in a confirmation."""
        weight = f"{self.weight:.6g}"
        if weight == "1" and self.weight != 1.0:
            weight = repr(self.weight)  # λ = 1 is a finalist, too
        return f"{_CONSTANT}-{weight}{self.place}"

    def is_like(self, other: _Candidate) -> bool:
        return (self.weight, self.shared) == (other.weight, other.shared)


def _constants(
    search: SearchRecord, config: SearchConfig, best: TrialRecord | None, rules: Sequence[TrialRecord], more: int
) -> list[Finalist]:
    """The best constant, the two extremes, then at most `more` at the settings of the rules, which come best first."""
    home = best or (rules[0] if rules else search.finished[0])
    weights = [*([_weight(best)] if best else []), 0.0, 1.0]
    chosen = [_Candidate(weight, home.shared) for weight in dict.fromkeys(weights)]
    most = len(chosen) + more
    for candidate in _retried(home, rules, _rivals(search, config)):
        if len(chosen) < most and not any(candidate.is_like(other) for other in chosen):
            chosen.append(candidate)
    return [_constant(search, candidate) for candidate in chosen]


def _retried(home: TrialRecord, rules: Sequence[TrialRecord], weights: Sequence[float]) -> list[_Candidate]:
    """Every weight at every rule's settings; the smaller the sum of both ranks, the sooner."""
    places: list[TrialRecord] = []
    for rule in rules:
        if all(rule.shared != other.shared for other in places):
            places.append(rule)
    ranked = sorted(
        ((i + j, i, rule, weight) for i, rule in enumerate(places) for j, weight in enumerate(weights)),
        key=lambda entry: entry[:2],
    )
    return [
        _Candidate(weight, rule.shared, "" if rule.shared == home.shared else f"-at-{rule.family}")
        for _, _, rule, weight in ranked
    ]


def _rivals(search: SearchRecord, config: SearchConfig) -> list[float]:
    """The best constant weights of the search, best first, no two of them close; without trials, its baselines.

    Those that left a race over seeds come after those that have a score.
    """
    tried = [_weight(trial) for trial in search.raced if trial.family == _CONSTANT]
    rivals: list[float] = []
    for weight in tried or config.baselines:
        if len(rivals) < _RIVALS and all(abs(weight - other) >= _APART for other in rivals):
            rivals.append(weight)
    return rivals


def _weight(trial: TrialRecord) -> float:
    return float(trial.parameters["weight"])


def _rule(trial: TrialRecord) -> Finalist:
    return Finalist(
        key=trial.family,
        role="rule",
        family=trial.family,
        parameters=trial.parameters,
        shared=trial.shared,
        student=trial.student,
        rule=trial.rule,
        complexity=trial.complexity,
        trial=trial.number,
        search_score=trial.score,
    )


def _constant(search: SearchRecord, candidate: _Candidate) -> Finalist:
    """With the number and score of the best trial that was the same, if there was one."""
    policy = create_policy(_CONSTANT, {"weight": candidate.weight})
    same = (
        trial
        for trial in search.finished
        if trial.family == _CONSTANT and (_weight(trial), trial.shared) == (candidate.weight, candidate.shared)
    )
    trial = next(same, None)
    extremes: dict[float, Role] = {0.0: "labels_alone", 1.0: "teacher_alone"}
    return Finalist(
        key=candidate.key,
        role=extremes.get(candidate.weight, "constant"),
        family=_CONSTANT,
        parameters=policy.values(),
        shared=dict(candidate.shared),
        student=search.finished[0].student,
        rule=policy.rule(),
        complexity=policy.complexity,
        trial=trial.number if trial else None,
        search_score=trial.score if trial else None,
    )
