"""Measures how far the ranking of a pilot holds at scale: Kendall's τ, with its p-value and an interval."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from trainables.settings import Settings

_RESAMPLES = 2000


class Agreement(Settings):
    """The agreement of two rankings of the same finalists."""

    finalists: int
    tau: float
    """Kendall's τ-b, from −1 (reversed) over 0 (unrelated) to 1 (the same order)."""
    p_value: float
    """Two-sided: how often a random order would agree or disagree as much."""
    low: float
    """Lower end of the 95 % interval for new seeds at scale; `high` is the upper end. The finalists stay the same."""
    high: float


def agreement_of(pilot: Mapping[str, float], scaled: Mapping[str, Mapping[int, float]]) -> Agreement | None:
    """Compare the order of finalists in the pilot with that at scale.

    Args:
        pilot: scores by finalist.
        scaled: scores by finalist and seed.

    Returns:
        The agreement; None with fewer than three finalists that both have, or if one side's scores are all equal.

    The interval is a bootstrap over the seeds at scale, the same ones for every finalist. Kendall 1938
    (doi 10.1093/biomet/30.1-2.81); τ-b counts ties (Kendall 1945).
    """
    from scipy import stats

    keys = [key for key in pilot if key in scaled and math.isfinite(pilot[key])]
    seeds = sorted(set.intersection(*(set(scaled[key]) for key in keys))) if keys else []
    if len(keys) < 3 or not seeds:
        return None
    ours = np.array([pilot[key] for key in keys])
    theirs = np.array([[scaled[key][seed] for seed in seeds] for key in keys])
    found = stats.kendalltau(ours, theirs.mean(axis=1))
    if not math.isfinite(found.statistic):
        return None
    draws = np.random.default_rng(0).integers(len(seeds), size=(_RESAMPLES, len(seeds)))
    drawn = [tau for draw in draws if math.isfinite(tau := _tau(ours, theirs[:, draw].mean(axis=1)))]
    low, high = np.quantile(drawn, (0.025, 0.975)) if drawn else (-1.0, 1.0)
    return Agreement(
        finalists=len(keys),
        tau=float(found.statistic),
        p_value=float(found.pvalue),
        low=float(low),
        high=float(high),
    )


def _tau(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Compute τ-b; NaN where one side is all ties."""
    upper = np.triu_indices(len(ours), 1)
    first, second = (np.sign(np.subtract.outer(one, one)[upper]) for one in (ours, theirs))
    untied = math.sqrt(float((first != 0).sum()) * float((second != 0).sum()))
    return float((first * second).sum()) / untied if untied else math.nan


def ranks_of(scores: Sequence[float | None]) -> list[int | None]:
    """Return the place of each score, the highest first; None for one that is not known."""
    known = sorted((score for score in scores if score is not None), reverse=True)
    return [None if score is None else known.index(score) + 1 for score in scores]
