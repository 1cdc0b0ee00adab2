"""Where the policies of a race stand, as their trials' storage tells it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from search.settings import Heat


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
