"""Two finalists under the same seeds.

Finalists that share a seed share the initial weights, the order of the batches and the augmentation, so a difference
within a seed is free of what the seed itself does to the score. The test is Student's paired t.
"""

from __future__ import annotations

import contextlib
import gc
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from trainables.settings import Settings

CONFIDENCE = 0.95
_ROUNDING = 1e-9
"""Deviations below this are what subtracting floats leaves behind."""


class Noise(Settings):
    """The parts of a paired difference's noise: standard deviations for one seed and one test sample."""

    seed: float
    """From seed to seed, the same on every test sample."""
    sample: float
    """From test sample to test sample, the same under every seed."""
    residual: float
    """Of a single seed on a single test sample, beside those two."""
    samples: int
    """Test samples."""
    freedom: float
    """Degrees of freedom of the mean's standard error (Satterthwaite 1946, doi 10.2307/3002019)."""


class PairedTest(Settings):
    """One finalist's score minus another's, by seed.

    All but `seeds` and `mean` are None where the noise is not known: with one seed, or where every difference is the
    same and the steps in which scores move are not known.
    """

    seeds: tuple[int, ...]
    """Those that both have a finite score for."""
    mean: float
    deviation: float | None
    """Standard deviation (ddof 1) of the differences, at least the step in which scores move."""
    low: float | None
    """Lower end of the mean's 95 % interval."""
    high: float | None
    p_value: float | None
    """Two-sided: how often a difference this large would come from seeds alone."""
    effect_size: float | None
    """Cohen's d_z: `mean` in deviations (Lakens 2013, doi 10.3389/fpsyg.2013.00863, eq. 6)."""
    too_few_seeds: bool = False
    """Whether the interval reaches further from the mean than all these scores lie apart, so that no difference among
    them could have been told: it speaks of the number of seeds, not of the finalists."""
    noise: Noise | None = None
    """The parts of the noise, where each student's result on each test sample is known."""

    @property
    def seeds_only(self) -> bool:
        """Whether the interval holds for new seeds on these test samples alone, and not for new samples."""
        return self.noise is None

    @property
    def p_ahead(self) -> float | None:
        """`p_value` if the mean is positive, else 1: small only where the first finalist is ahead."""
        if self.p_value is None:
            return None
        return self.p_value if self.mean > 0.0 else 1.0


def paired_test(ours: Mapping[int, float], theirs: Mapping[int, float], resolution: float = 0.0) -> PairedTest | None:
    """Test the mean difference of two finalists' scores.

    Args:
        ours: score by seed.
        theirs: the same of the other finalist.
        resolution: the step in which scores move, which for accuracies is one picture of the test set; 0 where it is
            not known. A few seeds may differ by exactly the same number of pictures by chance, so a deviation below one
            step is not taken for certainty but raised to it.

    Returns:
        None where no seed has a finite score of both.
    """
    seeds = tuple(sorted(s for s in ours.keys() & theirs.keys() if math.isfinite(ours[s]) and math.isfinite(theirs[s])))
    if not seeds:
        return None
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    mean, freedom = statistics.fmean(differences), len(seeds) - 1
    seen = spread(differences) or 0.0
    deviation = max(seen, resolution) if freedom else 0.0
    if deviation < _ROUNDING:
        return PairedTest(seeds=seeds, mean=mean, deviation=None, low=None, high=None, p_value=None, effect_size=None)
    from scipy import special

    error = deviation / math.sqrt(len(seeds))
    half = float(special.stdtrit(freedom, (1.0 + CONFIDENCE) / 2.0)) * error
    scores = [of[seed] for of in (ours, theirs) for seed in seeds]
    return PairedTest(
        seeds=seeds,
        mean=mean,
        deviation=deviation,
        too_few_seeds=seen >= _ROUNDING and half > max(scores) - min(scores),
        low=mean - half,
        high=mean + half,
        p_value=float(2.0 * special.stdtr(freedom, -abs(mean) / error)),
        effect_size=mean / deviation,
    )


def spread(values: Sequence[float]) -> float | None:
    """Standard deviation (ddof 1); None for fewer than two values."""
    import numpy as np

    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def holm(p_values: Iterable[float]) -> tuple[float, ...]:
    """p-values corrected for being several (Holm 1979), in the order given."""
    values = list(p_values)
    if not values:
        return ()
    from statsmodels.stats.multitest import multipletests

    with _quick_collections():
        return tuple(float(p) for p in multipletests(values, method="holm")[1])


@contextlib.contextmanager
def _quick_collections() -> Iterator[None]:
    """Within the block a garbage collection, such as statsmodels runs at every call, has next to nothing to look at.

    Both calls only join lists. Whoever had frozen objects before finds them thawed; to ask first would count them all.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
