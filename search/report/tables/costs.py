"""Computes what the answer cost: trainings, steps and time of the search and of its confirmation."""

from __future__ import annotations

from collections.abc import Iterable

from search.evidence import ReportSource
from search.records import ConfirmationRecord, SearchRecord, TrialRecord
from trainables.records import TracePoint
from trainables.settings import Settings


class Cost(Settings):
    """The cost of one part. What is not known is None."""

    part: str
    trainings: int
    """Students that were trained to their end, each under one seed."""
    steps: int | None
    """Updates of all these trainings."""
    training_seconds: float
    """Sum over the trainings, as if they ran one after the other."""
    wall_seconds: float | None
    """Time in which at least one was under way; pauses between sessions are left out, those inside a trial are not."""
    failed: int
    """Trials without a score."""


def costs(source: ReportSource) -> tuple[Cost, ...]:
    """Return the cost of the search, and of the confirmation if one has begun, without the teacher's own training."""
    found = [_of_search(source.search)]
    if source.confirmation is not None:
        found.append(_of_confirmation(source.confirmation))
    return tuple(found)


def _of_search(search: SearchRecord) -> Cost:
    ended = [trial for trial in search.trials if trial.history.replicates]
    return Cost(
        part="search",
        trainings=sum(len(trial.history.replicates) for trial in ended),
        steps=_total(_steps_of(trial) for trial in ended),
        training_seconds=sum(trial.history.training_seconds for trial in search.trials),
        wall_seconds=_covered(
            (trial.started.timestamp(), trial.ended.timestamp())
            for trial in search.trials
            if trial.started is not None and trial.ended is not None
        ),
        failed=sum(trial.status == "failed" for trial in search.trials),
    )


def _of_confirmation(record: ConfirmationRecord) -> Cost:
    return Cost(
        part="confirmation",
        trainings=len(record.results),
        steps=_total(_steps(result.trace) for result in record.results),
        training_seconds=sum(result.seconds for result in record.results),
        wall_seconds=_covered(
            (result.began, result.began + result.seconds) for result in record.results if result.began is not None
        ),
        failed=0,
    )


def _steps_of(trial: TrialRecord) -> int | None:
    steps = _steps(trial.history.trace)
    return None if steps is None else steps * len(trial.history.replicates)


def _steps(trace: tuple[TracePoint, ...]) -> int | None:
    """Return the number of steps, from the last point: a training's last step is always recorded."""
    return trace[-1].step + 1 if trace else None


def _total(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if not known or None in known else sum(count or 0 for count in known)


def _covered(spans: Iterable[tuple[float, float]]) -> float | None:
    """Return the length of the union of some spans; None if there are none."""
    total, reached, any_ = 0.0, float("-inf"), False
    for begin, end in sorted(spans):
        any_ = True
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total if any_ else None
