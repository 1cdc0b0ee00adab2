"""Collects what rules did along training, over the seeds: in the confirmed trainings if traced, else in trials."""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from search.drawing import Table
from search.evidence import Confirmed, ReportSource, finalist_of, rule_title, title
from search.records import ConfirmationRecord, TrialRecord
from search.settings import CONSTANT_FAMILY
from trainables.records import TracePoint

_COLUMNS = (
    "who", "step", "epoch", "lambda_mean", "lambda_low", "lambda_high",
    "cosine_mean", "cosine_low", "cosine_high", "norm_ratio",
)  # fmt: skip


class BandPoint(NamedTuple):
    """One probed step: mean, lowest and highest over the seeds; the norm ratio is a geometric mean."""

    step: int
    epoch: float
    weight: float
    weight_low: float
    weight_high: float
    cosine: float
    cosine_low: float
    cosine_high: float
    norm_ratio: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class TraceBand:
    """One rule or constant along training. `shown` is true if it belongs in figures that hold only a few."""

    label: str
    family: str
    seeds: int
    points: tuple[BandPoint, ...]
    constant: bool
    shown: bool


def trace_bands(source: ReportSource) -> tuple[TraceBand, ...]:
    """Return the winner, then the other rules, best first, and the best constant; only those that kept a trace."""
    confirmed = source.confirmed
    if confirmed is not None and any(result.trace for result in confirmed.record.results):
        bands = _of_finalists(confirmed)
    else:
        bands = _of_trials(source)
    return tuple(band for band in bands if band.points)


def label_of_best(trial: TrialRecord) -> str:
    """Name the best trial of a family."""
    name = rule_title(trial.family, trial.parameters)
    return f"best constant, {name}" if trial.family == CONSTANT_FAMILY else name


def trace_table(bands: Sequence[TraceBand]) -> Table:
    """Return all bands, step by step."""
    return Table(_COLUMNS, tuple((band.label, *point) for band in bands for point in band.points))


def _of_finalists(confirmed: Confirmed) -> list[TraceBand]:
    record = confirmed.record
    rules = sorted(
        (row for row in confirmed.comparison.rows if row.role == "rule"),
        key=lambda row: (row.key != confirmed.winner, -(row.test or 0.0)),
    )
    keys = [row.key for row in rules]
    keys.insert(0 if confirmed.winner == confirmed.baseline else len(keys), confirmed.baseline)
    few = {confirmed.baseline, confirmed.rival}
    return [
        _band(
            f"best constant, {title(record, key)}" if key == confirmed.baseline else title(record, key),
            finalist_of(record, key).family,
            _by_step(record, key),
            shown=key in few,
        )
        for key in keys
    ]


def _by_step(record: ConfirmationRecord, key: str) -> list[list[TracePoint]]:
    """Return the seeds' points of each step that all of them have."""
    traces = [result.trace for result in record.results if result.finalist == key and result.trace]
    grouped: dict[int, list[TracePoint]] = defaultdict(list)
    for trace in traces:
        for point in trace:
            grouped[point.step].append(point)
    return [points for _, points in sorted(grouped.items()) if len(points) == len(traces)]


def _band(label: str, family: str, steps: list[list[TracePoint]], *, shown: bool) -> TraceBand:
    return TraceBand(
        label=label,
        family=family,
        seeds=len(steps[0]) if steps else 0,
        points=tuple(_over_seeds(points) for points in steps),
        constant=family == CONSTANT_FAMILY,
        shown=shown,
    )


def _over_seeds(points: list[TracePoint]) -> BandPoint:
    weights, cosines = [point.weight for point in points], [point.cosine for point in points]
    ratios = [point.norm_ratio for point in points]
    return BandPoint(
        step=points[0].step,
        epoch=points[0].epoch,
        weight=statistics.fmean(weights),
        weight_low=min(weights),
        weight_high=max(weights),
        cosine=statistics.fmean(cosines),
        cosine_low=min(cosines),
        cosine_high=max(cosines),
        norm_ratio=math.exp(statistics.fmean(map(math.log, ratios))) if min(ratios) > 0 else math.nan,
    )


def _of_trials(source: ReportSource) -> list[TraceBand]:
    best, confirmed = source.best_trials, source.confirmed
    first_rule = next((family for family in best if family != CONSTANT_FAMILY), None)
    if confirmed is not None and confirmed.rival is not None:
        first_rule = confirmed.comparison.of(confirmed.rival).family
        best = dict(sorted(best.items(), key=lambda item: item[0] != first_rule))
    return [
        TraceBand(
            label=label_of_best(trial),
            family=family,
            seeds=len(trial.history.replicates),
            points=tuple(map(_of_trial, trial.history.trace)),
            constant=family == CONSTANT_FAMILY,
            shown=family in (CONSTANT_FAMILY, first_rule),
        )
        for family, trial in best.items()
    ]


def _of_trial(point: TracePoint) -> BandPoint:
    weights = point.weight_range or (point.weight, point.weight)
    cosines = point.cosine_range or (point.cosine, point.cosine)
    ratio = point.norm_ratio if point.norm_ratio > 0 else math.nan
    return BandPoint(point.step, point.epoch, point.weight, *weights, point.cosine, *cosines, ratio)
