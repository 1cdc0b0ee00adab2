"""Chooses the constants λ to confirm, and records how well the search tuned them.

A rule may owe its lead over the constants to the learning rate that it was tried at. So constants are confirmed at
their own best learning rate and temperature, where a rule must beat them. They are also confirmed at the settings of
the best rules.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence

from policies.families.schedules.fixed import Fixed
from search.constants import same_weight
from search.records import ConstantFacts, SearchRecord, TrialRecord
from search.settings import RangeSide

CONSTANT = Fixed.family
_RIVALS = 3
"""The most constant weights that are worth retrying."""
_USUAL = (0.9, 0.5)
_APART = 0.1
"""Weights closer than this count as one."""


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A constant weight at a learning rate and temperature, as far as these were searched."""

    weight: float
    shared: Mapping[str, float | int]
    place: str = ""
    """The end of the key, where it would not be unique otherwise."""

    @property
    def key(self) -> str:
        """The candidate's key, unique in a confirmation."""
        weight = f"{self.weight:.6g}"
        if weight == "1" and self.weight != 1.0:
            weight = repr(self.weight)  # λ = 1 is a finalist, too
        return f"{CONSTANT}-{weight}{self.place}"

    def is_like(self, other: Candidate) -> bool:
        """Tell whether both give the same training; at λ = 0 the temperature has no effect."""
        if not same_weight(self.weight, other.weight):
            return False
        blind = {"temperature"} if self.weight == 0.0 else set()
        return all(self.shared.get(name) == other.shared.get(name) for name in {*self.shared, *other.shared} - blind)


@dataclasses.dataclass(frozen=True)
class Constants:
    """The constants to confirm, and how well they were tuned."""

    candidates: tuple[Candidate, ...]
    facts: ConstantFacts
    """The facts that the search tells of them, without the ends of ranges."""
    level_sides: tuple[RangeSide, ...] = ()
    """Ends of shared ranges beyond which the constants have nothing to gain."""


def add_candidate(found: list[Candidate], candidate: Candidate) -> None:
    """Add a constant with a unique key, unless (almost) the same one is there."""
    if any(other.is_like(candidate) for other in found):
        return
    unique, turn = candidate, 2
    while unique.key in {other.key for other in found}:
        unique, turn = dataclasses.replace(candidate, place=f"{candidate.place}-{turn}"), turn + 1
    found.append(unique)


def constants_of_trials(search: SearchRecord, rules: Sequence[TrialRecord], more: int) -> Constants:
    """Choose the constants to confirm in a search that tried only a few.

    They are the best one, both extremes at their own best settings, and at most `more` at the settings of the rules.
    The latter have the three best weights of the search that lie at least 0.1 apart. The better rule and the better
    weight come first. Without trials of `fixed`, the best rule's settings and the usual weights 0.9 and 0.5 are used.

    Args:
        search: the trials of one student; at least one has finished.
        rules: the best trial of each family that is confirmed, best first.
        more: the most constants at the settings of the rules.
    """
    tried = [trial for trial in search.finished if trial.family == CONSTANT]
    best = tried[0] if tried else None
    home = (best or (rules[0] if rules else search.finished[0])).shared
    chosen = [] if best is None else [Candidate(_weight(best), best.shared)]
    for extreme in (0.0, 1.0):
        own = next((trial.shared for trial in tried if _weight(trial) == extreme), home)
        place = "" if own == home else "-own"
        if not any(candidate.weight == extreme for candidate in chosen):
            chosen.append(Candidate(extreme, own, place))
    most = len(chosen) + more
    for candidate in _retried(home, rules, _rivals(search)):
        if len(chosen) < most and not any(candidate.is_like(other) for other in chosen):
            chosen.append(candidate)
    return Constants(
        candidates=tuple(chosen),
        facts=ConstantFacts(
            chosen=None if best is None else chosen[0].key, reason="the search tried a few constants only"
        ),
    )


def _retried(
    home: Mapping[str, float | int], rules: Sequence[TrialRecord], weights: Sequence[float]
) -> list[Candidate]:
    """Pair every weight with every rule's settings, the smallest sum of both ranks first."""
    pairs = itertools.product(enumerate(of_other_settings(rules)), enumerate(weights))
    return [
        Candidate(weight, rule.shared, "" if rule.shared == home else f"-at-{rule.family}")
        for (_, rule), (_, weight) in sorted(pairs, key=lambda pair: (pair[0][0] + pair[1][0], pair[0][0]))
    ]


def of_other_settings(rules: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Leave out the rules whose learning rate and temperature an earlier one has."""
    places: list[TrialRecord] = []
    for rule in rules:
        if all(rule.shared != other.shared for other in places):
            places.append(rule)
    return places


def _rivals(search: SearchRecord) -> list[float]:
    """Return the best constant weights of the search, best first, no two of them close; without trials, the usual ones.

    Trials that left a race over seeds come after those that have a score.
    """
    tried = [_weight(trial) for trial in search.raced if trial.family == CONSTANT]
    rivals: list[float] = []
    for weight in tried or _USUAL:
        if len(rivals) < _RIVALS and all(_are_apart(weight, other) for other in rivals):
            rivals.append(weight)
    return rivals


def _are_apart(weight: float, other: float) -> bool:
    """Tell whether two weights count as two. 1 − 0.9 is slightly below 0.1 in binary and counts as 0.1."""
    distance = abs(weight - other)
    return distance > _APART or math.isclose(distance, _APART)


def _weight(trial: TrialRecord) -> float:
    return float(trial.parameters["weight"])
