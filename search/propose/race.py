"""Racing over seeds: a policy starts with few seeds and earns more by being among the best of its family.

The seeds of a trial are trained in heats. Every policy runs the first one; after each heat the best of each family, by
their mean score over all seeds so far, run the next (synchronous successive halving, arXiv 1502.07943, with seeds as
the resource). Only those that have run them all have a score. Imports no Ray and no Optuna.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import statistics
from collections.abc import Callable, Iterable, Sequence

from pydantic import Field

from search.wording.numbers import count
from trainables.settings import Settings


class RacingSettings(Settings):
    """How a search races its policies over seeds."""

    first: int = Field(1, ge=1)
    """Seeds of the first heat, which every policy runs."""
    heats: int = Field(3, ge=2, le=10)
    """Fewer where there are not as many seeds to earn."""
    reduction: float = Field(2.0, gt=1, le=100)
    """Of each family the best one in so many goes on to the next heat."""


@dataclasses.dataclass(frozen=True)
class Heat:
    """Part of a trial's seeds, trained together; how many policies of each family run it, and their seeds after it."""

    seeds: tuple[int, ...]
    entrants: int
    seeds_after: int


def heats_of(racing: RacingSettings | None, *, seeds: Sequence[int], trials: int) -> tuple[Heat, ...]:
    """The heats of a search; one of all seeds where nothing is raced, or nothing is left to earn.

    Seeds grow from heat to heat by the same factor, as whole numbers allow: 1, 2, 5 or 1, 3, 10.

    Args:
        racing: the search's settings.
        seeds: of a whole trial.
        trials: policies of each family.
    """
    most, ends, reduction = len(seeds), [len(seeds)], 1.0
    if racing is not None and racing.first < most:
        growth, reduction = most / racing.first, racing.reduction
        steps = (round(racing.first * growth ** (heat / (racing.heats - 1))) for heat in range(racing.heats))
        ends = list(dict.fromkeys(steps))
    return tuple(
        Heat(tuple(seeds[start:end]), max(1, int(trials / reduction**number)), end)
        for number, (start, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True))
    )


def planned_trainings(heats: Iterable[Heat]) -> int:
    """Trainings, one a seed, of each family where no trial fails."""
    return sum(len(heat.seeds) * heat.entrants for heat in heats)


def race_in_words(heats: Sequence[Heat], trials: int) -> str:
    """`racing over seeds: of each family 8 policies train 1 seed, 2 of them all 3; …`, for a race of several heats."""
    steps = [f"{heat.entrants} of them {heat.seeds_after}" for heat in heats[1:-1]]
    steps.append(f"{heats[-1].entrants} of them all {heats[-1].seeds_after}")
    share = planned_trainings(heats) / (trials * heats[-1].seeds_after)
    return (
        f"racing over seeds: of each family {trials} policies train {count(heats[0].seeds_after, 'seed')},"
        f" {', '.join(steps)}; {share:.0%} of the trainings"
    )


def left_after(seeds: int, all_seeds: int) -> str:
    """`left the race after 1 of 3 seeds`."""
    return f"left the race after {seeds:,} of {count(all_seeds, 'seed')}"


class Turn(enum.Enum):
    """What a race says where it names no policy."""

    WAIT = "wait"
    """Heats that run must end first."""
    OVER = "over"
    """Nothing is left to run."""


@dataclasses.dataclass
class _Entry:
    """One policy's way through the race: its heats begun, and the scores of those that ended well."""

    number: int
    begun: int = 1
    scores: list[float] = dataclasses.field(default_factory=list)
    failed: bool = False

    @property
    def running(self) -> bool:
        return not self.failed and self.begun > len(self.scores)


class FamilyRace:
    """The race of one family.

    Args:
        heats: of the family.
        trials: policies that will run the first heat; None where their number is not known before `close`.
    """

    def __init__(self, heats: Sequence[Heat], trials: int | None) -> None:
        self._heats = tuple(heats)
        self._trials = trials
        self._entries: dict[int, _Entry] = {}

    def close(self) -> None:
        """Let nobody enter any more."""
        self._trials = len(self._entries)

    def enter(self, number: int) -> None:
        """Let a policy begin its first heat."""
        self._entries[number] = _Entry(number)

    def begin(self, number: int, heat: int) -> None:
        """Let a policy begin a further heat, from 1."""
        self._entries[number].begun = heat + 1

    def end(self, number: int, score: float | None) -> None:
        """Note how the heat that a policy is in has ended: its mean score over its seeds, or None where it failed."""
        entry = self._entries[number]
        if score is None:
            entry.failed = True
        else:
            entry.scores.append(score)

    def promote(self, worth: Callable[[int], float] | None = None) -> tuple[int, int] | Turn:
        """Let the next policy begin another heat: its number, and which heat from 0.

        A policy that fails in a later heat is replaced by the next best of those it had left behind, so that every
        family has its share.

        Args:
            worth: tells a policy's worth by its number; the higher, the sooner it is promoted. When not given, it is
                the mean score over the seeds so far.
        """
        if self._trials is None or len(self._entries) < self._trials:
            return Turn.WAIT
        for number in range(1, len(self._heats)):
            pool = [entry for entry in self._entries.values() if len(entry.scores) >= number]
            if any(entry.running and entry.begun <= number for entry in self._entries.values()):
                return Turn.WAIT
            sound = [e for e in pool if e.begun > number and not e.failed]
            waiting = [e for e in pool if e.begun == number and not e.failed]
            if waiting and len(sound) < self._heats[number].entrants:
                by_worth = functools.partial(self._mean, heats=number) if worth is None else _worth_of(worth)
                best = max(waiting, key=lambda e: (by_worth(e), -e.number))
                self.begin(best.number, number)
                return best.number, number
        return Turn.WAIT if any(e.running for e in self._entries.values()) else Turn.OVER

    def _mean(self, entry: _Entry, heats: int) -> float:
        """Over the seeds of the first heats."""
        return statistics.fmean(entry.scores[:heats], weights=[float(len(heat.seeds)) for heat in self._heats[:heats]])


def _worth_of(worth: Callable[[int], float]) -> Callable[[_Entry], float]:
    return lambda entry: worth(entry.number)


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where a policy stands, as its trial's storage tells it."""

    number: int
    heats_begun: int
    heats_ended: int
    failed: bool


def left_the_race(family: Iterable[Standing], heats: Sequence[Heat]) -> set[int]:
    """Who has no heat to come, by number: the next heat has all its entrants without them.

    It follows from which heats were begun, not from scores, so it agrees with what the search has done.
    """
    standings = list(family)
    sound = [s.heats_begun for s in standings if not s.failed]
    full = [sum(begun > heat for begun in sound) >= heats[heat].entrants for heat in range(len(heats))]
    return {
        standing.number
        for standing in standings
        if not standing.failed
        and standing.heats_begun <= standing.heats_ended
        and 0 < standing.heats_ended < len(heats)
        and full[standing.heats_ended]
    }
