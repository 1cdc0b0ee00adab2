"""Computes all numbers of an analysis."""

from __future__ import annotations

import math

import numpy as np

from search.analysis.accuracy import Choice, Fit, all_fits, breakdown, choices, curvature, signal
from search.analysis.claims import BestWeight, Claim, along_training, best_weights, judge_claims, where_best
from search.analysis.tables import GOALS, Floats, Numbers, changes, lowest
from search.records import AnalysisRecord
from trainables.records import LOSSES, Loss


class Horizon(Numbers):
    """The best λ for a held-out loss if λ is kept for some steps."""

    loss: Loss
    steps: int
    probes: int
    """The number of probes with at least so many steps left in their training."""
    mean: float
    """The mean best λ over the probes."""
    agreement: float
    """Spearman's rank correlation over the probes with the best λ for one step; NaN if one does not move."""
    along: dict[str, float]
    """The same correlations as `BestWeight.along`."""


class Stake(Numbers):
    """The most that choosing λ anew at every probe could gain in single steps."""

    loss: Loss
    constant: float
    """The λ, of those tried, under which the falls of all probes add up to most."""
    lost: float
    """The share of the fall under the best λ of each probe that this constant gives up; NaN if the loss does not fall.
    It is too high, since the best of several noisy numbers looks better than it is."""


class Findings(Numbers):
    """All numbers that are computed from an analysis."""

    best: tuple[BestWeight, ...]
    claims: tuple[Claim, ...]
    fits: tuple[Fit, ...]
    parts: tuple[Fit, ...]
    choices: dict[Loss, tuple[Choice, ...]]
    stakes: tuple[Stake, ...]
    horizons: tuple[Horizon, ...]
    curvature: float
    """The ηκ of the maps as measured; see `accuracy.curvature`."""
    signal: float
    """The `signal` of the maps as measured; see `accuracy.signal`."""


def judge_analysis(record: AnalysisRecord) -> Findings:
    """Compute all numbers of an analysis; takes a second or two."""
    return Findings(
        best=tuple(where_best(record, loss) for loss in LOSSES),
        claims=tuple(claim for loss in GOALS for claim in judge_claims(record, loss)),
        fits=all_fits(record),
        parts=breakdown(record),
        choices={loss: choices(record, loss) for loss in GOALS},
        stakes=tuple(_stake(record, loss) for loss in GOALS),
        horizons=tuple(found for loss in GOALS for found in _horizons(record, loss)),
        curvature=curvature(record),
        signal=signal(record),
    )


def later_changes(record: AnalysisRecord, loss: Loss, steps: int) -> Floats:
    """Return the held-out changes after `steps` steps, [P, W]; NaN for probes too near to the end."""
    missing = (math.nan,) * len(record.weights)
    return np.array([p.horizons[steps][loss] if steps in p.horizons else missing for p in record.probes], float)


def _stake(record: AnalysisRecord, loss: Loss) -> Stake:
    true = changes(record, loss).true
    true = true[np.isfinite(true).all(1)]
    sums, best = true.sum(0), float(true.min(1).sum()) if len(true) else math.nan
    lost = 1.0 - float(sums.min()) / best if best < 0.0 else math.nan
    return Stake(loss=loss, constant=record.weights[int(sums.argmin())], lost=lost)


def _horizons(record: AnalysisRecord, loss: Loss) -> list[Horizon]:
    from scipy import stats

    now, found = best_weights(record, loss), []
    for steps in record.settings.horizons:
        then = lowest(record.weights, later_changes(record, loss, steps))
        both = np.isfinite(now) & np.isfinite(then)
        if not both.any():
            continue
        moving = min(np.ptp(now[both]), np.ptp(then[both])) > 0.0
        agreement = float(stats.spearmanr(now[both], then[both]).statistic) if moving else math.nan
        found.append(
            Horizon(
                loss=loss,
                steps=steps,
                probes=int(both.sum()),
                mean=float(then[both].mean()),
                agreement=agreement,
                along=along_training(record, then),
            )
        )
    return found
