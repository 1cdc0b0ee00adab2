"""Measures what keeping the pilot's choice costs at scale, against the best that was trained there."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from search.evidence.scores import Scores
from search.evidence.statistics.paired import ROUNDING, PairedTest, common_seeds
from search.evidence.statistics.power import LEVEL
from trainables.settings import Settings


class Regret(Settings):
    """The best finalist's score at scale minus that of the pilot's choice, in scores; never below 0."""

    best: str
    """Key of the finalist with the highest mean at scale; the choice's own where none is above it."""
    mean: float
    """The estimate. The best is found on all seeds but one and compared on that one, in turn, so that its luck does not
    count as regret."""
    low: float
    """Lower end of the 95 % interval, which allows for having looked for the best; `high` is the upper end."""
    high: float


def regret_of(scores: Scores, choice: str, others: Sequence[str], looks: int = 1) -> Regret | None:
    """Compute the regret of the pilot's choice.

    The bounds are those of a comparison with the best (Hsu 1984, doi 10.1214/aos/1176346714), by Bonferroni's
    correction: the truly best finalist's lead over the choice lies within the bounds of all leads.

    Args:
        scores: at scale.
        choice: key of the pilot's choice.
        others: keys of all other finalists.
        looks: the number of looks at the results, which share the level.

    Returns:
        The regret; None with fewer than two seeds in common, or if the noise of a difference is not known.
    """
    level = LEVEL / max(1, len(others)) / looks
    low, high, means = 0.0, 0.0, {choice: 0.0}
    for key in others:
        noises = scores.noises(key, choice)
        if noises is None:
            return None
        half = noises.half_width(level) if noises.error >= ROUNDING else 0.0
        low, high = max(low, noises.mean - half), max(high, noises.mean + half)
        means[key] = noises.mean
    best = max(means, key=means.__getitem__)
    return Regret(best=best, mean=_left_out(scores, choice, others), low=low, high=high)


def ahead_of(tests: dict[str, PairedTest | None], looks: int = 1) -> dict[str, PairedTest]:
    """Return the tests in which a finalist leads beyond the noise, after Holm's correction and for the looks."""
    from search.evidence.comparison import ahead

    clear = ahead(tests)
    return {key: test for key, p in clear.items() if p * looks <= LEVEL and (test := tests[key]) is not None}


def _left_out(scores: Scores, choice: str, others: Sequence[str]) -> float:
    """Return the mean over the seeds of the lead of whoever is best on all other seeds, at least 0."""
    keys = [choice, *others]
    seeds = common_seeds(scores.test[choice], scores.test[choice])
    seeds = tuple(s for s in seeds if all(math.isfinite(scores.test[key].get(s, math.nan)) for key in keys))
    if len(seeds) < 2:
        return math.nan
    leads = []
    for seed in seeds:
        rest = [other for other in seeds if other != seed]
        best = max(keys, key=lambda key: statistics.fmean(scores.test[key][other] for other in rest))
        leads.append(scores.test[best][seed] - scores.test[choice][seed])
    return max(0.0, statistics.fmean(leads))
