"""Tests the difference between two finalists under the same seeds.

Finalists that share a seed share the initial weights, the order of the batches and the augmentation. So a difference
within a seed is free of the seed's own effect on the score. The test is Student's paired t over the seeds. If the
results on each test sample are known, it accounts for the choice of these samples too (`two_noises`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from search.evidence.statistics.two_noises import Array, TwoNoises, two_noises
from trainables.settings import Settings

CONFIDENCE = 0.95
ROUNDING = 1e-9
"""Deviations below this are rounding errors from subtracting floats."""


class Noise(Settings):
    """The parts of a paired difference's noise: standard deviations for one seed and one test sample."""

    seed: float
    """The part that changes from seed to seed, the same on every test sample."""
    sample: float
    """The part that changes from test sample to test sample, the same under every seed."""
    residual: float
    """The part of a single seed on a single test sample, beside those two."""
    samples: int
    """The number of test samples."""
    freedom: float
    """Degrees of freedom of the mean's standard error (Satterthwaite 1946, doi 10.2307/3002019)."""


class PairedTest(Settings):
    """One finalist's score minus another's, by seed.

    All but `seeds` and `mean` are None where the noise is not known: with one seed, or where every difference is the
    same and the steps in which scores move are not known.
    """

    seeds: tuple[int, ...]
    """The seeds under which both have a finite score."""
    mean: float
    deviation: float | None
    """Standard deviation (ddof 1) of the differences by seed, at least the step in which scores move."""
    low: float | None
    """Lower end of the mean's 95 % interval."""
    high: float | None
    p_value: float | None
    """Two-sided: how often the noise alone would give a difference this large."""
    effect_size: float | None
    """Cohen's d_z: `mean` divided by `deviation` (Lakens 2013, doi 10.3389/fpsyg.2013.00863, eq. 6)."""
    too_few_seeds: bool = False
    """True if the interval reaches further from the mean than all these scores lie apart. Then no difference among them
    could have been detected: the interval reflects the number of seeds, not the finalists."""
    noise: Noise | None = None
    """The parts of the noise, where each student's result on each test sample is known."""

    @property
    def seeds_only(self) -> bool:
        """True if the interval holds for new seeds on these test samples alone, and not for new samples."""
        return self.noise is None

    @property
    def p_ahead(self) -> float | None:
        """`p_value` if the mean is positive, else 1: small only where the first finalist is ahead."""
        if self.p_value is None:
            return None
        return self.p_value if self.mean > 0.0 else 1.0


def paired_test(ours: Mapping[int, float], theirs: Mapping[int, float], resolution: float = 0.0) -> PairedTest | None:
    """Test the mean difference of two finalists' scores, for new seeds only.

    Args:
        ours: one finalist's score by seed.
        theirs: the same of the other finalist.
        resolution: the step in which scores move, which for accuracies is one picture of the test set; 0 if it is not
            known. A few seeds may differ by exactly the same number of pictures by chance. So a deviation below one
            step is raised to one step.

    Returns:
        The test; None if no seed has a finite score of both.
    """
    seeds = common_seeds(ours, theirs)
    if not seeds:
        return None
    return judged(ours, theirs, seeds, noises_of(ours, theirs, seeds, resolution))


def judged(
    ours: Mapping[int, float], theirs: Mapping[int, float], seeds: tuple[int, ...], noises: TwoNoises | None
) -> PairedTest:
    """Build the test from an analysis of variance; `noises` is None with a single seed."""
    if noises is None or noises.error < ROUNDING:
        level = statistics.fmean(ours[seed] - theirs[seed] for seed in seeds)
        return PairedTest(seeds=seeds, mean=level, deviation=None, low=None, high=None, p_value=None, effect_size=None)
    half, deviation = noises.half_width(1.0 - CONFIDENCE), math.sqrt(noises.seed_square)
    scores = [of[seed] for of in (ours, theirs) for seed in seeds]
    seen = spread([ours[seed] - theirs[seed] for seed in seeds]) or 0.0
    return PairedTest(
        seeds=seeds,
        mean=noises.mean,
        deviation=deviation,
        too_few_seeds=seen >= ROUNDING and half > max(scores) - min(scores) and _is_of_seeds(noises),
        low=noises.mean - half,
        high=noises.mean + half,
        p_value=noises.p_value,
        effect_size=noises.mean / deviation if deviation >= ROUNDING else None,
        noise=_parts(noises),
    )


def common_seeds(ours: Mapping[int, float], theirs: Mapping[int, float]) -> tuple[int, ...]:
    """Return the seeds under which both have a finite score."""
    both = ours.keys() & theirs.keys()
    return tuple(sorted(seed for seed in both if math.isfinite(ours[seed]) and math.isfinite(theirs[seed])))


def noises_of(
    ours: Mapping[int, float],
    theirs: Mapping[int, float],
    seeds: Sequence[int],
    resolution: float,
    samples: tuple[Mapping[int, Array], Mapping[int, Array]] | None = None,
) -> TwoNoises | None:
    """Compute the analysis of variance behind a test; None with fewer than two seeds.

    Args:
        ours: one finalist's score by seed.
        theirs: the same of the other finalist.
        seeds: the common ones.
        resolution: as in `paired_test`.
        samples: both finalists' values on each test sample by seed, [N]; their means are the scores. With them the test
            is for new seeds and new samples. Without them, or if a seed lacks them, it is for new seeds only.
    """
    if len(seeds) < 2:
        return None
    if samples is not None:
        sizes = {len(of[seed]) if seed in of else 0 for of in samples for seed in seeds}
        if len(sizes) == 1 and sizes.pop() > 1:
            return two_noises(np.stack([samples[0][seed] - samples[1][seed] for seed in seeds]), resolution)
    differences = [ours[seed] - theirs[seed] for seed in seeds]
    square = max(spread(differences) or 0.0, resolution) ** 2
    return TwoNoises(mean=statistics.fmean(differences), seeds=len(seeds), samples=None, seed_square=square)


def _is_of_seeds(noises: TwoNoises) -> bool:
    """Tell whether more seeds would make the interval much smaller."""
    by_seed, by_sample = noises.parts
    return by_seed > by_sample


def _parts(noises: TwoNoises) -> Noise | None:
    if noises.samples is None:
        return None
    seed, sample, residual = noises.deviations
    return Noise(seed=seed, sample=sample, residual=residual, samples=noises.samples, freedom=noises.freedom)


def mean(values: Iterable[float | None]) -> float | None:
    """Compute the mean; None without values, or if one of them is not known."""
    listed = list(values)
    known = [value for value in listed if value is not None]
    return statistics.fmean(known) if known and len(known) == len(listed) else None


def spread(values: Sequence[float]) -> float | None:
    """Compute the standard deviation (ddof 1); None for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def holm(p_values: Iterable[float]) -> tuple[float, ...]:
    """Correct several p-values for their number (Holm 1979), in the order given."""
    values = np.array(list(p_values), dtype=float)
    order = np.argsort(values)
    values[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    return tuple(np.minimum(values, 1.0).tolist())
