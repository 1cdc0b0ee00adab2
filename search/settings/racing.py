"""Defines the settings of a race over seeds, and the heats that follow from them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Sequence

from pydantic import Field

from search.wording import count
from trainables.settings import Settings


class RacingSettings(Settings):
    """Settings of a race of policies over seeds."""

    first: int = Field(1, ge=1)
    """Seeds of the first heat, which every policy runs."""
    heats: int = Field(3, ge=2, le=10)
    """The number of heats; fewer if there are not as many seeds to earn."""
    reduction: float = Field(2.0, gt=1, le=100)
    """The factor by which a family's policies become fewer from heat to heat; the best ones reach the next heat."""


@dataclasses.dataclass(frozen=True)
class Heat:
    """A part of a trial's seeds, which are trained together.

    `entrants` policies of each family run it; each of them has trained `seeds_after` seeds after it.
    """

    seeds: tuple[int, ...]
    entrants: int
    seeds_after: int


def heats_of(racing: RacingSettings | None, *, seeds: Sequence[int], trials: int) -> tuple[Heat, ...]:
    """The heats of a search; a single one with all seeds if nothing is raced, or no seeds are left to earn.

    The number of seeds grows from heat to heat by the same factor, as whole numbers allow: 1, 2, 5 or 1, 3, 10.

    Args:
        racing: the search's settings.
        seeds: the seeds of a whole trial.
        trials: the number of policies of each family.
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


def with_more_seeds(heats: Sequence[Heat], seeds: Sequence[int], replicates: Sequence[int]) -> tuple[Heat, ...]:
    """Add a heat for each further number of seeds; every policy that has run all heats before it runs it.

    Args:
        heats: those of the first number of seeds.
        seeds: all seeds of a trial.
        replicates: the numbers of seeds, ascending.
    """
    added = (
        Heat(tuple(seeds[before:after]), heats[-1].entrants, after) for before, after in itertools.pairwise(replicates)
    )
    return (*heats, *added)


def planned_trainings(heats: Iterable[Heat]) -> int:
    """The number of trainings of each family, one for each seed, if no trial fails."""
    return sum(len(heat.seeds) * heat.entrants for heat in heats)


def race_in_words(heats: Sequence[Heat], trials: int) -> str:
    """`racing over seeds: of each family 8 policies train 1 seed, 2 of them all 3; …`, for several heats.

    Without a race, seeds were added to a search that had begun: `8 policies of each family train 3 seeds, then all 5`.
    """
    if heats[-1].entrants == heats[0].entrants:
        first = count(heats[0].seeds_after, "seed")
        return f"{trials} policies of each family train {first}, then all {heats[-1].seeds_after}"
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
