"""Estimates how long a running search or confirmation still takes, from the trainings that have ended.

The trainings to come are played through: each takes as long as its like have taken lately, on as many workers as have
been seen at a time. The past of this run is played through in the same way. What it really took, compared with that,
corrects for all that the play leaves out, such as the start of workers and waits for proposals.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

_LEFT_OF_LATE = 0.1
"""The part of its usual time that a training still takes which has run for longer than that."""
_CORRECTIONS = (0.8, 1.5)
_CONSTANTS = ((15, 30), (15, 34), (23, 50))
"""The constants that bracketed the best one in simulated and real searches, by the number of settings besides λ."""


class Work(NamedTuple):
    """One training of some seeds together."""

    kind: Hashable
    """Trainings of a kind take about as long as each other: a family with a student, or a finalist."""
    seeds: int


class Ended(NamedTuple):
    """A training that has ended, in the order of their ends."""

    work: Work
    seconds: float
    """The time that it kept a worker busy, or waiting for it."""
    now: bool = True
    """False if it ended in an earlier run, which may have been on a machine of another speed."""
    sound: bool = True
    """False if it failed, so that its time says nothing of others."""


def seconds_left(
    elapsed: float,
    ended: Sequence[Ended],
    running: Sequence[tuple[Work, float]],
    waiting: Mapping[Work, float],
    *,
    workers: int,
    most_of_a_kind: int | None = None,
) -> float | None:
    """Estimate the seconds until all trainings have ended.

    Args:
        elapsed: seconds since the first training of this run began.
        ended: trainings that have ended, oldest first.
        running: trainings that run, each with the seconds since it began.
        waiting: how many trainings are to come, of each kind and number of seeds; fractions are expected numbers.
        workers: the most trainings that were seen to run at a time.
        most_of_a_kind: the most trainings of a kind that run at a time; None for no such limit.

    Returns:
        None until a training has ended in this run.
    """
    if not any(one.now for one in ended):
        return None
    costs = Costs(ended)
    left = [(work, max(costs.of(work) - since, _LEFT_OF_LATE * costs.of(work))) for work, since in running]
    left += [(work, costs.of(work) * part) for work, number in waiting.items() for part in _parts(number)]
    past = [(one.work, one.seconds) for one in ended if one.now] + list(running)
    played = makespan(past, workers, most_of_a_kind)
    low, high = _CORRECTIONS
    correction = min(max(elapsed / played, low), high) if played > 0 else 1.0
    return makespan(left, workers, most_of_a_kind) * correction


class Costs:
    """The seconds that trainings to come take, from those that have ended.

    Args:
        ended: at least one, oldest first.
    """

    def __init__(self, ended: Sequence[Ended]) -> None:
        sound = [one for one in ended if one.sound] or list(ended)
        times: dict[int, list[float]] = defaultdict(list)
        for one in sound:
            times[one.work.seeds].append(one.seconds)
        self._of_seeds = {seeds: _lately(seconds) for seeds, seconds in times.items()}
        parts: dict[Hashable, list[float]] = defaultdict(list)
        for one in sound:
            parts[one.work.kind].append(one.seconds / self._typical(one.work.seeds))
        self._of_kind = {kind: _lately(shares) for kind, shares in parts.items()}

    def of(self, work: Work) -> float:
        """Return the seconds that one training takes."""
        return self._typical(work.seeds) * self._of_kind.get(work.kind, 1.0)

    def _typical(self, seeds: int) -> float:
        """Return the mean time for a number of seeds; one that was never seen is scaled from the nearest."""
        if seeds not in self._of_seeds:
            nearest = min(self._of_seeds, key=lambda known: (abs(known - seeds), known))
            return self._of_seeds[nearest] * seeds / nearest
        return max(self._of_seeds[seeds], 1e-9)


def makespan(works: Sequence[tuple[Work, float]], workers: int, most_of_a_kind: int | None = None) -> float:
    """Return the seconds in which workers do all works, each with its seconds; none waits without need.

    Those given first begin first, but kinds take turns where only so many of a kind may run at a time.
    """
    waiting: dict[Hashable, list[float]] = defaultdict(list)
    for work, seconds in works:
        waiting[work.kind].append(seconds)
    for queue in waiting.values():
        queue.reverse()
    busy: list[tuple[float, int, Hashable]] = []
    count, now, at_a_time = 0, 0.0, Counter[Hashable]()
    limit = most_of_a_kind or len(works)
    while waiting or busy:
        # The kind with the most work left begins first, as it would hold up the end.
        free = [kind for kind in waiting if at_a_time[kind] < limit] if len(busy) < workers else []
        if free:
            kind = max(free, key=lambda kind: len(waiting[kind]))
            heapq.heappush(busy, (now + waiting[kind].pop(), count, kind))
            at_a_time[kind] += 1
            count += 1
            if not waiting[kind]:
                del waiting[kind]
        else:
            now, _, kind = heapq.heappop(busy)
            at_a_time[kind] -= 1
    return now


def expected_constants(begun: int, most: int, *, settings: int) -> float:
    """Return how many constants a search probably tries with one student until the best one is bracketed.

    Args:
        begun: constants that have begun; more may follow.
        most: the most that are tried.
        settings: the number of settings that are searched besides λ.
    """
    fewest, usual_end = _CONSTANTS[min(settings, len(_CONSTANTS) - 1)]
    low, high = max(begun, fewest), max(usual_end, begun + 2)
    if low >= most:
        return float(most)
    # The mean of an even spread from `low` to `high`, where all that is above `most` counts as `most`.
    top = min(high, most)
    return ((top**2 - low**2) / 2.0 + most * (high - top)) / (high - low)


def _lately(values: Sequence[float]) -> float:
    """Return a mean in which the last value counts most and the first one least.

    The first trainings of a worker are slower, and a machine may become busier.
    """
    return sum(place * value for place, value in enumerate(values, 1)) / sum(range(1, len(values) + 1))


def _parts(number: float) -> list[float]:
    """Return 1 for each whole training of an expected number, and the rest as a part of one."""
    whole = int(number)
    return [1.0] * whole + ([number - whole] if number > whole else [])
