"""Joins a trial's heats into one history. A heat is a part of its seeds, trained with a history of its own."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from trainables.records.conduct import join_conducts
from trainables.records.objective import Objective
from trainables.records.trial import EpochRecord, TracePoint, TrialHistory

_Record = TypeVar("_Record", EpochRecord, TracePoint)


def join_heats(heats: Sequence[TrialHistory], objective: Objective) -> TrialHistory:
    """Join the histories of all seeds, as if they had been trained side by side.

    Scores are exactly those of training side by side. Curves are means weighted by seeds, so they are equal up to
    rounding.

    Args:
        heats: finished histories of the same policy and training, each with other seeds; at least one.
        objective: the KPI that gives the scores.
    """
    if len(heats) == 1:
        return heats[0]
    seeds = [len(heat.replicates) for heat in heats]
    replicates = tuple(replicate for heat in heats for replicate in heat.replicates)
    scores = [objective.score_of(replicate) for replicate in replicates]
    interventions: Counter[str] = Counter()
    for heat in heats:
        interventions.update(heat.interventions)
    return heats[0].model_copy(
        update={
            "score": statistics.fmean(scores),
            "score_std": statistics.stdev(scores) if len(scores) > 1 else None,
            "epochs": tuple(_join_epochs(same, seeds) for same in _aligned([h.epochs for h in heats], _epoch)),
            "trace": tuple(_join_trace(same, seeds) for same in _aligned([h.trace for h in heats], _step)),
            "decisions": sum(heat.decisions for heat in heats),
            "decisions_dropped": sum(heat.decisions_dropped for heat in heats),
            "interventions": dict(interventions),
            "skipped_steps": sum(heat.skipped_steps for heat in heats),
            "conduct": join_conducts([heat.conduct for heat in heats]),
            "replicates": replicates,
            "training_seconds": sum(heat.training_seconds for heat in heats),
        }
    )


def _epoch(record: EpochRecord) -> int:
    return record.epoch


def _step(point: TracePoint) -> int:
    return point.step


def _aligned(curves: Sequence[Sequence[_Record]], place: Callable[[_Record], int]) -> list[list[_Record]]:
    """Return the records at each place that all curves have; trainings in a user's loop may end at different ones."""
    by_place = [{place(record): record for record in curve} for curve in curves]
    return [[known[at] for known in by_place] for at in by_place[0] if all(at in known for known in by_place)]


def _join_epochs(same: Sequence[EpochRecord], seeds: Sequence[int]) -> EpochRecord:
    def mean(of: Callable[[EpochRecord], float]) -> float:
        return _mean(map(of, same), seeds)

    def known_mean(of: Callable[[EpochRecord], float | None]) -> float | None:
        values = [value for value in map(of, same) if value is not None]
        return _mean(values, seeds) if len(values) == len(same) else None

    return EpochRecord(
        epoch=same[0].epoch,
        train_task_loss=mean(lambda record: record.train_task_loss),
        train_distill_loss=mean(lambda record: record.train_distill_loss),
        validation_loss=known_mean(lambda record: record.validation_loss),
        validation_accuracy=known_mean(lambda record: record.validation_accuracy),
        agreement=known_mean(lambda record: record.agreement),
        calibration_error=known_mean(lambda record: record.calibration_error),
        more={name: _mean((record.more[name] for record in same), seeds) for name in _shared(r.more for r in same)},
        own_kpis={
            name: _mean((record.own_kpis[name] for record in same), seeds) for name in _shared(r.own_kpis for r in same)
        },
        weight=mean(lambda record: record.weight),
        seconds=sum(record.seconds for record in same),
    )


def _join_trace(same: Sequence[TracePoint], seeds: Sequence[int]) -> TracePoint:
    def mean(of: Callable[[TracePoint], float]) -> float:
        return _mean(map(of, same), seeds)

    return TracePoint(
        step=same[0].step,
        epoch=same[0].epoch,
        weight=mean(lambda point: point.weight),
        scale=mean(lambda point: point.scale),
        cosine=mean(lambda point: point.cosine),
        norm_ratio=math.exp(mean(lambda point: math.log(point.norm_ratio))),
        task_loss=mean(lambda point: point.task_loss),
        distill_loss=mean(lambda point: point.distill_loss),
        weight_range=_range(point.weight_range for point in same),
        cosine_range=_range(point.cosine_range for point in same),
    )


def _shared(figures: Iterable[dict[str, float]]) -> list[str]:
    """Return the names that all of these have; a heat of an earlier release may lack some."""
    first, *others = figures
    return [name for name in first if all(name in other for other in others)]


def _mean(values: Iterable[float], seeds: Sequence[int]) -> float:
    return statistics.fmean(values, weights=[float(count) for count in seeds])


def _range(ranges: Iterable[tuple[float, float] | None]) -> tuple[float, float] | None:
    known = list(ranges)
    if any(ends is None for ends in known):
        return None
    return min(ends[0] for ends in known if ends), max(ends[1] for ends in known if ends)
