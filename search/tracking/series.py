"""Turns a trial's history into metric points. Names before a slash are the sections of MLflow's charts.

MLflow's page for two runs opens on the first metric that they share: the first by name, or the first that was written,
as the store has it. So no metric of a trial sorts before `score`, and none is written before `score` or its curve.
"""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np

from policies.guarding.intervention import Intervention
from search.evidence import ConstantCurve
from search.metrics import STEP_CURVES, TRAINING_CURVES, metric_of_objective, metrics_with
from search.records import ENDED, TrialRecord
from trainables.records import Objective

MAX_POINTS = 100
"""The most points of a series, approximately."""
DIGITS = 4
"""The significant digits of a number in MLflow, whose page shows all that it is given."""

_Item = TypeVar("_Item")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """One value of a metric. `timestamp` is in milliseconds since 1970."""

    name: str
    value: float
    step: int
    timestamp: int


def milliseconds(moment: datetime.datetime | None) -> int:
    """Return a moment in milliseconds since 1970; 0 for an unknown one."""
    return 0 if moment is None else round(moment.timestamp() * 1000)


def rounded(value: float) -> float:
    """Round to `DIGITS` significant digits, but keep whole numbers and whole parts."""
    if value == 0.0 or not math.isfinite(value):
        return value
    return round(value, max(0, DIGITS - 1 - math.floor(math.log10(abs(value)))))


def last_moment(trial: TrialRecord) -> int:
    """Return when a trial ended or was last heard of, in milliseconds since 1970; 0 if it is not known."""
    if trial.ended is not None or trial.started is None:
        return milliseconds(trial.ended)
    return milliseconds(trial.started) + round(1000 * sum(record.seconds for record in trial.history.epochs))


def thin(items: Sequence[_Item], expected: int, *, complete: bool) -> list[_Item]:
    """Return at most about `MAX_POINTS` of the items, evenly spread, with the first and (once complete) the last.

    Which items are kept depends on `expected`, the length of the finished series, so that a growing series only ever
    gains points.
    """
    stride = math.ceil(max(expected, len(items)) / MAX_POINTS) or 1
    return [item for index, item in enumerate(items) if index % stride == 0 or (complete and index == len(items) - 1)]


def trial_points(
    trial: TrialRecord,
    objective: Objective,
    *,
    expected_epochs: int = 0,
    expected_steps: int = 0,
    after_epoch: int = -1,
    after_step: int = -1,
) -> list[Point]:
    """Return the points of a trial beyond `after_epoch` and `after_step`.

    A point's time follows from the trial's own clock, not from the moment of writing, so that MLflow recognises a point
    that it has already. If a trial is raced over seeds, the curves are those of the first heat. Its seeds are common to
    all trials, and a point that is written cannot be changed when more seeds come.

    The first curve is that of the objective, `score_by_epoch`.
    """
    history = trial.opening or trial.history
    complete = trial.status in ENDED
    begin = milliseconds(trial.started)
    ends = [begin + round(1000 * s) for s in itertools.accumulate(record.seconds for record in history.epochs)]
    times = dict(zip((record.epoch for record in history.epochs), ends, strict=True))
    points = []
    for epoch in thin(history.epochs, expected_epochs, complete=complete):
        if epoch.epoch > after_epoch:
            values = {"score_by_epoch": metric_of_objective(objective.name).in_search(epoch)}
            values |= {metric.curve: metric.in_search(epoch) for metric in metrics_with(epoch.own_kpis)}
            values |= {name: getattr(epoch, field) for name, field in TRAINING_CURVES.items()}
            points += points_of(values, epoch.epoch, times[epoch.epoch])
    clock = ([0.0, *times], [begin, *times.values()])
    for probed in thin(history.trace, expected_steps, complete=complete):
        if probed.step > after_step:
            values = {name: getattr(probed, field) for name, field in STEP_CURVES.items()}
            points += points_of(values, probed.step, round(float(np.interp(probed.epoch, *clock))))
    return points


def outcome_points(trial: TrialRecord, objective: Objective, *, race_is_over: bool = True) -> list[Point]:
    """Return an ended trial's single numbers as points, first the value of the objective; none before its end.

    Over fewer seeds than a whole trial's that value is called `partial_score`, so that no chart or table takes it for a
    `score`. A trial that left the race may come back in the place of one that fails, and a metric cannot be deleted. So
    there is no `partial_score` before the race is over. All others may be written again with another value.
    """
    if trial.status not in ENDED:
        return []
    values: dict[str, float | None] = {}
    if trial.status == "finished":
        values |= {"score": value_of(objective, trial.score), "score_std": trial.history.score_std}
    elif trial.status == "eliminated" and race_is_over:
        values["partial_score"] = value_of(objective, trial.partial_score)
    if trial.status in ("finished", "eliminated"):
        values["training_seconds"] = trial.history.training_seconds
    values |= {"seeds": len(trial.seeds) or None, **_guarded(trial)}
    return points_of(values, 0, milliseconds(trial.ended or trial.started))  # a chart of step 0 alone has bars


def _guarded(trial: TrialRecord) -> dict[str, int]:
    """Count what the guard did over all seeds: steps skipped, interventions in all and of each kind that occurred."""
    done = trial.history.interventions
    kinds = {kind.value: kind.name.lower() for kind in Intervention}
    return {
        "train/guard_skipped_steps": trial.history.skipped_steps,
        "train/guard_interventions": sum(done.values()),
        **{f"train/guard_{kinds[kind]}": times for kind, times in done.items() if kind in kinds},
    }


def constant_points(curve: ConstantCurve | None, moment: int) -> list[Point]:
    """Return the best constant of an ended search and its certificate, as points; none without a curve."""
    if curve is None:
        return []
    values = {
        "constant/lambda": curve.chosen,
        "constant/expected_loss": curve.expected_loss,
        "constant/allowed_loss": curve.allowed_loss,
        "constant/certificate_holds": float(curve.holds),
        "constant/share_of_trainings": curve.share,
    }
    return points_of(values, 0, moment)


def points_of(values: Mapping[str, float | None], step: int, timestamp: int) -> list[Point]:
    """Return the values that are known as points, rounded; one that is not finite becomes NaN."""
    # MLflow stores an infinity as 1.8e308, which makes its axis useless; a NaN is left out of its charts.
    return [
        Point(name=name, value=rounded(value) if math.isfinite(value) else math.nan, step=step, timestamp=timestamp)
        for name, value in values.items()
        if value is not None
    ]


def value_of(objective: Objective, score: float | None) -> float | None:
    """Return the value of the objective that a score stands for, if there is one."""
    return None if score is None else objective.value(score)
