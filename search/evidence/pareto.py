"""Shows what a better score costs: finds the trials that no other trial beats in every respect (the Pareto front).

A cost is the rule's complexity, in numbers, or the student's, in parameters or FLOPs. Scores are means over a few
seeds, so each step along a front is reported with the noise of its gain.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

from search.evidence.ranking import compare_trials
from search.evidence.statistics.paired import PairedTest
from search.records import SearchRecord, TrialRecord
from search.settings import COSTS, Cost
from trainables.settings import Settings


class FrontPoint(Settings):
    """A trial on a front."""

    number: int
    family: str
    student: str
    """The student's name in the search."""
    rule: str
    score: float
    """Mean over the seeds, higher being better."""
    spread: float | None
    """Standard deviation (ddof 1) over the seeds; None with one seed."""
    costs: dict[Cost, int]
    gain: PairedTest | None = None
    """Its score minus that of the next cheaper point of the front, by seed. None for the cheapest point, and on a front
    of several costs, which has no order."""
    knee: bool = False
    """True if it lies furthest above the line between the front's ends, both axes scaled to [0, 1] (Das 1999, doi
    10.1007/BF01195985). Student costs are taken by their logarithm. Fronts of two points have no knee."""


class Front(Settings):
    """Score against one cost, or against several at once."""

    costs: tuple[Cost, ...]
    points: tuple[FrontPoint, ...]
    """The points, cheapest first. Of trials with the same score and costs, only the earliest is kept."""
    dominated: int
    """Finished trials that are not on the front."""


def fronts(search: SearchRecord) -> tuple[Front, ...]:
    """Find the front of the score and each cost that differs between the finished trials, in the order of `COSTS`.

    The costs are the rule's complexity and those costs of the student that the search file names as `costs`, or else
    its parameters. If the file names several costs, their common front comes last.
    """
    asked = tuple(cost for cost in search.costs if _varies(search, cost))
    of_student: tuple[Cost, ...] = tuple(cost for cost in asked if cost != "complexity") or ("parameters",)
    shown = [cost for cost in COSTS if cost in ("complexity", *of_student) and _varies(search, cost)]
    sets: list[tuple[Cost, ...]] = [(cost,) for cost in shown] + ([asked] if len(asked) > 1 else [])
    return tuple(_front(search, costs) for costs in sets)


def on_fronts(search: SearchRecord) -> dict[int, tuple[tuple[Cost, ...], ...]]:
    """Map each finished trial's number to the fronts that it is on; a front is given by its costs."""
    found: dict[int, list[tuple[Cost, ...]]] = {trial.number: [] for trial in search.finished}
    for front in fronts(search):
        for point in front.points:
            found[point.number].append(front.costs)
    return {number: tuple(costs) for number, costs in found.items()}


def cost_of(search: SearchRecord, trial: TrialRecord, cost: Cost) -> int | None:
    """Return the cost of a trial's rule or student; None where it is not known."""
    if cost == "complexity":
        return trial.complexity
    size = next((size for size in search.student_sizes if size.name == trial.student), None)
    return None if size is None else getattr(size, cost)


def _varies(search: SearchRecord, cost: Cost) -> bool:
    return len({cost_of(search, trial, cost) for trial in search.finished} - {None}) > 1


def _front(search: SearchRecord, costs: tuple[Cost, ...]) -> Front:
    known = [
        (trial, values)
        for trial in sorted(search.finished, key=lambda trial: trial.number)
        if None not in (values := tuple(cost_of(search, trial, cost) for cost in costs))
    ]
    places = _undominated([(-(trial.score or 0.0), *(v or 0 for v in values)) for trial, values in known])
    on_front = sorted((known[place] for place in places), key=lambda entry: entry[1])
    ordered = len(costs) == 1
    curve = [(_place(costs[0], values[0] or 0), trial.score or 0.0) for trial, values in on_front] if ordered else []
    knee = _knee(curve)
    points = tuple(
        FrontPoint(
            number=trial.number,
            family=trial.family,
            student=trial.student,
            rule=trial.rule,
            score=trial.score or 0.0,
            spread=trial.history.score_std,
            costs={cost: value or 0 for cost, value in zip(costs, values, strict=True)},
            gain=compare_trials(search, trial, on_front[place - 1][0]) if ordered and place else None,
            knee=place == knee,
        )
        for place, (trial, values) in enumerate(on_front)
    )
    return Front(costs=costs, points=points, dominated=len(known) - len(points))


def _undominated(values: Sequence[tuple[float, ...]]) -> list[int]:
    """Return the places of the points that no other beats or equals in all respects; the earliest of equal points.

    Args:
        values: the numbers of each point, all of which are to be small.
    """
    front: list[int] = []
    for place in sorted(range(len(values)), key=values.__getitem__):  # what beats or equals a point comes before it
        if not any(all(map(operator.le, values[better], values[place])) for better in front):
            front.append(place)
    return sorted(front)


def _place(cost: Cost, value: int) -> float:
    return float(value) if cost == "complexity" else math.log(value)


def _knee(points: Sequence[tuple[float, float]]) -> int | None:
    """Return the place of the (cost, score) furthest above the line between the first and the last; None if none is."""
    if len(points) < 3:
        return None
    (low, worst), (high, best) = points[0], points[-1]
    above = [(score - worst) / (best - worst) - (cost - low) / (high - low) for cost, score in points]
    place = above.index(max(above))
    return place if above[place] > 1e-9 else None
