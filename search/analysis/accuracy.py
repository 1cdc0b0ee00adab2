"""Measures how well the expansions predict a step's effect, where they fail, and what choosing λ by them gives up.

P: probes; W: λ that were tried.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from search.analysis.expansion import best_weight
from search.analysis.tables import BOTH, Changes, Floats, Numbers, changes, lowest, places
from search.records import AnalysisRecord
from trainables.records import Loss, StepKind

Rows = npt.NDArray[np.intp]

_RESAMPLES = 1000
_LEVEL = 0.95


class Fit(Numbers):
    """The agreement of one prediction with the true changes of one loss on one set.

    Intervals are 95 % percentile bootstraps over the probes. A value that is not defined is NaN, such as R² of one λ.
    """

    prediction: str
    loss: Loss
    where: str
    kind: StepKind
    part: str = "all"
    """`all`, or one third of the probes: by progress, step length or angle."""
    probes: int
    r2: float
    """1 - Σ(true - predicted)²/Σ(true - mean)² over probes and λ: is the size of the change right?"""
    r2_low: float
    r2_high: float
    r2_between: float
    """Median over the probes of the R² within one probe, centred on the probe's mean over λ: is the difference between
    λ right? A choice of λ depends on this."""
    missed: float
    """The share given up by the λ that the prediction calls best; mean over the probes; 0 is perfect. It is a share of
    what λ can do to the loss at a probe, from the best to the worst of those tried."""


class Choice(Numbers):
    """The `Fit.missed` of one way of choosing λ, for one step, with the interval of its mean over the probes."""

    name: str
    missed: float
    low: float
    high: float


def fit(found: Changes, prediction: str, part: str = "all") -> Fit:
    """Return how well a prediction meets the true changes."""
    true, predicted = found.true, found.predictions[prediction]
    columns = np.isfinite(predicted).any(0)  # `second` is not known at every λ
    known = np.isfinite(true).all(1) & np.isfinite(predicted[:, columns]).all(1)
    true, predicted = true[known][:, columns], predicted[known][:, columns]
    errors = ((true - predicted) ** 2).sum(1)
    sums, squares, tried = true.sum(1), (true**2).sum(1), true.shape[1]
    low, high = _bootstrap(len(true), lambda rows: _r2(errors[rows], sums[rows], squares[rows], tried))
    return Fit(
        prediction=prediction,
        loss=found.loss,
        where=found.where,
        kind=found.kind,
        part=part,
        probes=len(true),
        r2=float(_r2(errors, sums, squares, tried)),
        r2_low=low,
        r2_high=high,
        r2_between=of_finite(np.median, r2_between(true, predicted)),
        missed=of_finite(np.mean, missed(true, predicted.argmin(1))) if len(true) else np.nan,
    )


def r2_between(true: Floats, predicted: Floats) -> Floats:
    """Return the R² of each probe's own differences between λ, [P]; NaN if λ makes no difference."""
    if true.size == 0:
        return np.full(len(true), np.nan)
    true, predicted = (x - x.mean(1, keepdims=True) for x in (true, predicted))
    total = (true**2).sum(1)
    left = ((true - predicted) ** 2).sum(1)
    share = np.divide(left, total, out=np.full(len(true), np.nan), where=total > 0.0)
    found: Floats = 1.0 - share
    return found


def missed(true: Floats, chosen: Rows) -> Floats:
    """Return the share given up at each probe by the λ number `chosen`, [P]; NaN if λ makes no difference."""
    low, high = true.min(1), true.max(1)
    got = true[np.arange(len(true)), chosen]
    share: Floats = np.divide(got - low, high - low, out=np.full(len(true), np.nan), where=high > low)
    return share


def all_fits(record: AnalysisRecord) -> tuple[Fit, ...]:
    """Return a fit for every expansion of both losses.

    The sets are the batch and held-out pictures; the steps are the optimiser's and plain ones.
    """
    kinds: tuple[StepKind, ...] = ("optimizer", "plain")
    tables = [changes(record, *key) for key in itertools.product(BOTH, kinds, ("held_out", "batch"))]
    return tuple(fit(table, name) for table in tables for name in table.predictions)


def breakdown(record: AnalysisRecord) -> tuple[Fit, ...]:
    """Return the fits of the optimiser's steps on held-out pictures, by thirds of progress, step length and angle."""
    found = []
    for table, (part, rows) in itertools.product((changes(record, loss) for loss in BOTH), thirds(record)):
        predictions = {name: predicted[rows] for name, predicted in table.predictions.items()}
        some = dataclasses.replace(table, true=table.true[rows], predictions=predictions)
        found += [fit(some, name, part) for name in predictions]
    return tuple(found)


def thirds(record: AnalysisRecord) -> Iterator[tuple[str, Rows]]:
    """Yield (name, rows) of the probes' thirds."""
    where = places(record)
    for words, values in (
        (("early", "middle", "late"), where.progress),
        (("short steps", "middling steps", "long steps"), where.length),
        (("large angle", "middling angle", "small angle"), where.cosine),
    ):
        order = np.argsort(values, kind="stable")
        for name, rows in zip(words, np.array_split(order, 3), strict=True):
            if len(rows):
                yield name, np.sort(rows)


def curvature(record: AnalysisRecord) -> float:
    """Return the median over the probes of `ProbeRecord.task_curvature`: the ηκ of the maps."""
    return of_finite(np.median, np.array([probe.task_curvature for probe in record.probes], float))


def signal(record: AnalysisRecord) -> float:
    """Return the median squared cosine between the batch's and the held-out task gradient: the maps' `signal`."""
    return of_finite(np.median, np.array([probe.task_alignment**2 for probe in record.probes], float))


def _from_geometry(record: AnalysisRecord, cosines: Floats, ratios: Floats, loss: Loss) -> dict[str, Floats]:
    """Return λ by name, from the batch's angle and norm ratio alone.

    Three are those of the maps, with curvature and signal as measured; two are those of the simplest rules.
    """
    step, share = curvature(record), signal(record)
    step = step if step > 1e-9 else 1e-9  # negative or unknown curvature: as plain
    share = share if np.isfinite(share) else 1.0
    return {
        "map: plain step": best_weight(cosines, ratios, loss, "plain"),
        "map: curved, ηκ as measured": best_weight(cosines, ratios, loss, "curved", step=step),
        "map: fixed length, signal as measured": best_weight(cosines, ratios, loss, "fixed_length", signal=share),
        "rule: λ = 1 where cosine > 0, else 0": (cosines > 0.0).astype(float),
        "rule: norm balance, λ = 1/(1 + r)": 1.0 / (1.0 + ratios),
    }


def choices(record: AnalysisRecord, loss: Loss) -> tuple[Choice, ...]:
    """Return what each way of choosing λ gives up in one step of the optimiser, on held-out pictures.

    The ways are constants, the rule in training, the maps, two simple rules and two first-order expansions.
    """
    table, where, lam = changes(record, loss), places(record), np.array(record.weights)
    ways: dict[str, Floats] = {f"λ = {x:g}": np.full(len(where.seed), x) for x in (0.0, 0.5, 0.9, 1.0)}
    ways["the rule in training"] = where.weight
    ratio = np.exp(np.clip(where.log_ratio, -30.0, 30.0))
    known = np.isfinite(where.cosine) & np.isfinite(ratio)
    for name, weights in _from_geometry(record, where.cosine[known], ratio[known], loss).items():
        ways[name] = np.full(len(known), 0.5)
        ways[name][known] = weights
    for name, words in (("from_batch", "first order, batch's gradient"), ("first", "first order, held-out gradient")):
        ways[words] = lowest(lam, table.predictions[name])
    return tuple(_choice(name, weights, table.true, lam) for name, weights in ways.items())


def _choice(name: str, weights: Floats, true: Floats, lam: Floats) -> Choice:
    usable = np.isfinite(true).all(1) & np.isfinite(weights)
    shares = missed(true[usable], np.abs(weights[usable, None] - lam).argmin(1))
    shares = shares[np.isfinite(shares)]
    low, high = _bootstrap(len(shares), lambda rows: np.asarray(shares[rows].mean(-1)))
    return Choice(name=name, missed=of_finite(np.mean, shares), low=low, high=high)


def _r2(errors: Floats, sums: Floats, squares: Floats, columns: int) -> Floats:
    """Return the pooled R² from each probe's sums, over the last dimension."""
    count = errors.shape[-1] * columns
    total = squares.sum(-1) - sums.sum(-1) ** 2 / max(count, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1.0 - errors.sum(-1) / total)


def _bootstrap(count: int, statistic: Callable[[Rows], Floats]) -> tuple[float, float]:
    """Return the percentile interval of a statistic of resampled probes; `statistic` takes rows [R, P]."""
    if count < 2:
        return np.nan, np.nan
    rows = np.random.default_rng(0).integers(0, count, (_RESAMPLES, count))
    drawn = statistic(rows)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return np.nan, np.nan
    low, high = np.quantile(drawn, [(1.0 - _LEVEL) / 2.0, (1.0 + _LEVEL) / 2.0])
    return float(low), float(high)


def of_finite(statistic: Callable[[Floats], Any], values: Floats) -> float:
    """Return a statistic of the finite values, such as their mean; NaN if there are none."""
    values = values[np.isfinite(values)]
    return float(statistic(values)) if len(values) else np.nan
