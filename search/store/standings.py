"""Derives where the policies of a race stand, from the storage of their trials."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from search.settings import Heat


@dataclasses.dataclass(frozen=True)
class Standing:
    """The progress of a policy in a race, as its trial's storage has it."""

    number: int
    heats_begun: int
    heats_ended: int
    failed: bool


def left_the_race(family: Iterable[Standing], heats: Sequence[Heat]) -> set[int]:
    """Return the numbers of the policies that have no heat to come: the next heat has all its entrants without them.

    This follows from which heats were begun, not from scores, so it agrees with what the search has done.
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
