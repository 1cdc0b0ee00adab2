"""Which trainings of a confirmation are one task: seeds of a finalist that train as one stacked model.

One more seed in a group costs little, so groups should be large; but there should be as many as keep all CPUs busy to
the end. The measure of both is a group's cost, that of its seeds and `_FIXED` more.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from typing import NamedTuple

from search.confirm.store import Unit

LARGEST = 10
"""Seeds of a group. In one of twenty a tiny student's seed would take 0.7 to 0.8 of the time, but a process that dies
loses its whole group."""
_FIXED = 6
"""What a group costs beside its seeds, in seeds. `benchmarks/members.py` finds 13 to 18 where the student is tiny (an
MLP 64-32-10), 7 to 8 with a hidden layer of 128, and 0.3 with layers of 512 and 256. With 6 the plan is the best for
all but the last, where it leaves CPUs idle if there are more of them than groups."""


class Group(NamedTuple):
    """Seeds of one finalist, trained by one task."""

    finalist: str
    seeds: tuple[int, ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        """Its trainings."""
        return tuple(Unit(self.finalist, seed) for seed in self.seeds)


def single(units: Sequence[Unit]) -> list[Group]:
    """A group for every training."""
    return [Group(unit.finalist, (unit.seed,)) for unit in units]


def grouped(units: Sequence[Unit], slots: int) -> list[Group]:
    """Groups that are done soonest, in the order in which to begin them.

    Groups are as large as they may be, but for the last ones, which are divided where that ends sooner. Where finalists
    have several, the first seeds of all come before the later ones of any.

    Args:
        units: seed by seed.
        slots: how many groups can be trained at a time.
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
    """Into parts that differ by one seed at most, the larger ones first."""
    parts = min(parts, len(group.seeds))
    size, more = divmod(len(group.seeds), parts)
    ends = [size * part + min(part, more) for part in range(parts + 1)]
    return [Group(group.finalist, group.seeds[begin:end]) for begin, end in itertools.pairwise(ends)]


def _end(plan: Sequence[Group], slots: int) -> int:
    """When the last group ends, if each begins as soon as there is room."""
    free = [0] * max(1, min(slots, len(plan)))
    for group in plan:
        heapq.heapreplace(free, free[0] + _FIXED + len(group.seeds))
    return max(free)
