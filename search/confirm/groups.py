"""Groups the trainings of a confirmation into tasks: seeds of a finalist that train as one stacked model.

One more seed in a group costs little, so groups should be large. But there should be enough groups to keep all CPUs
busy to the end. The measure of both is a group's cost: its seeds and `_FIXED` more.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from search.confirm.store import Unit

LARGEST = 10
"""The most seeds of a group. In a group of twenty, a tiny student's seed would take 0.7 to 0.8 of the time. But a
process that dies loses its whole group."""
_FIXED = 6
"""The cost of a group beside its seeds, in seeds. `benchmarks/members.py` finds 13 to 18 where the student is tiny (an
MLP 64-32-10), 7 to 8 with a hidden layer of 128, and 0.3 with layers of 512 and 256. With 6 the plan is the best for
all but the last, where it leaves CPUs idle if there are more of them than groups."""


class Group(NamedTuple):
    """Seeds of one finalist, trained by one task."""

    finalist: str
    seeds: tuple[int, ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        """The group's trainings."""
        return tuple(Unit(self.finalist, seed) for seed in self.seeds)


def single(units: Sequence[Unit]) -> list[Group]:
    """Make a group for every training."""
    return [Group(unit.finalist, (unit.seed,)) for unit in units]


def grouped(units: Sequence[Unit], slots: int) -> list[Group]:
    """Group trainings so that all end soonest, in the order in which to begin the groups.

    Groups are as large as allowed, except the last ones, which are divided if that ends sooner. If finalists have
    several groups, the first seeds of all finalists come before the later ones of any.

    Args:
        units: the trainings, seed by seed.
        slots: the number of groups that can be trained at a time.
    """
    whole = _whole(units)
    rounds = len(whole) // slots
    kept = dict.fromkeys((len(whole), rounds * slots, max(rounds - 1, 0) * slots))
    plans = [
        [*whole[:count], *(part for group in whole[count:] for part in _divided(group, parts))]
        for parts in range(1, LARGEST + 1)
        for count in kept
    ]
    return min(plans, key=lambda plan: _end(plan, slots))


def _whole(units: Sequence[Unit]) -> list[Group]:
    seeds: dict[str, list[int]] = {}
    for unit in units:
        seeds.setdefault(unit.finalist, []).append(unit.seed)
    groups = [
        group
        for finalist, own in seeds.items()
        for group in _divided(Group(finalist, tuple(own)), -(-len(own) // LARGEST))
    ]
    return sorted(groups, key=lambda group: group.seeds[0])


def _divided(group: Group, parts: int) -> list[Group]:
    """Divide a group into parts that differ by one seed at most, the larger ones first."""
    divided = np.array_split(group.seeds, min(parts, len(group.seeds)))
    return [Group(group.finalist, tuple(seeds.tolist())) for seeds in divided]


def _end(plan: Sequence[Group], slots: int) -> int:
    """Return when the last group ends, if each begins as soon as there is room."""
    free = [0] * max(1, min(slots, len(plan)))
    for group in plan:
        heapq.heapreplace(free, free[0] + _FIXED + len(group.seeds))
    return max(free)
