"""Splits the noise of a paired difference into that of the seeds and that of the test samples.

S: seeds; N: test samples. The difference of two students under seed s on sample n is a sum of independent terms: a
mean, an effect of the seed, one of the sample and a residual. This is the two-way crossed random-effects layout with
one observation a cell (Searle, Casella & McCulloch 1992, ch. 4). Without results by sample, the effect of the samples
is unknown, and the test is Student's paired t over the seeds.

Two intervals are computed from the same mean squares. `half_width` has Satterthwaite's degrees of freedom and covers
as often as it says. `p_value` adds the squared half-widths of the parts (Howe 1974,
doi 10.1080/01621459.1974.10480180). It is never too small, even far in the tail, where Satterthwaite's is several times
too small with 3 seeds.
"""

from __future__ import annotations

import dataclasses
import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.floating]

_TAIL = 3.0
"""Raises the share of the seeds in the degrees of freedom by 3/(S − 1). Their mean square is so uncertain that the
plain formula covers 92 % with 3 seeds; with this it covers 94 to 96 %."""
_SMALLEST = -60.0  # natural logarithm of the smallest p that is told apart


@dataclasses.dataclass(frozen=True, kw_only=True)
class TwoNoises:
    """Mean squares of a paired difference's analysis of variance."""

    mean: float
    seeds: int
    """S, at least 2."""
    samples: int | None
    """N, at least 2; None where the results by sample are not known."""
    seed_square: float
    """Mean square of the seeds, in units of one seed's mean: the variance (ddof 1) of the differences by seed."""
    sample_square: float = 0.0
    """Mean square of the samples, in units of one seed on one sample; so is `residual_square`."""
    residual_square: float = 0.0

    @property
    def parts(self) -> tuple[float, float]:
        """The variance of the mean from the seeds, with the residual, and the variance that the samples add to it."""
        if self.samples is None:
            return self.seed_square / self.seeds, 0.0
        beside = max(self.sample_square - self.residual_square, 0.0)
        return self.seed_square / self.seeds, beside / (self.seeds * self.samples)

    @property
    def deviations(self) -> tuple[float, float, float]:
        """Standard deviations of the effects: of a seed, of a sample, and the residual."""
        samples = self.samples or 1
        seed = max(self.seed_square - self.residual_square / samples, 0.0)
        sample = max(self.sample_square - self.residual_square, 0.0) / self.seeds
        return math.sqrt(seed), math.sqrt(sample), math.sqrt(self.residual_square)

    @property
    def error(self) -> float:
        """Standard error of the mean."""
        return math.sqrt(sum(self.parts))

    @property
    def freedom(self) -> float:
        """Satterthwaite's degrees of freedom of `error`, at least S − 1."""
        by_seed, by_sample = self.parts
        least = self.seeds - 1
        if self.samples is None or by_sample == 0.0:
            return least
        cells = self.seeds * self.samples
        raised = (1.0 + _TAIL / least) * by_seed
        squares = (self.sample_square / cells) ** 2 + (self.residual_square / cells) ** 2 / least
        return max((raised + by_sample) ** 2 / (raised**2 / least + squares / (self.samples - 1)), least)

    def half_width(self, level: float) -> float:
        """Return half of the mean's interval that leaves out `level`, both sides together."""
        from scipy import special

        return float(special.stdtrit(self.freedom, 1.0 - level / 2.0)) * self.error

    def careful_half_width(self, level: float) -> float:
        """Return a half-width like `half_width` that is wide enough at every level."""
        from scipy import special

        by_seed, by_sample = self.parts
        square = float(special.stdtrit(self.seeds - 1, level / 2.0)) ** 2 * by_seed
        if self.samples is not None and by_sample > 0.0:
            square += float(special.stdtrit(self.samples - 1, level / 2.0)) ** 2 * by_sample
        return math.sqrt(square)

    @property
    def p_value(self) -> float:
        """Two-sided: the level at which the interval of `careful_half_width` just reaches zero."""
        from scipy import optimize, special

        by_seed, by_sample = self.parts
        if by_sample == 0.0 or self.samples is None:
            return float(2.0 * special.stdtr(self.seeds - 1, -abs(self.mean) / math.sqrt(by_seed)))

        def beyond(logarithm: float) -> float:
            return self.careful_half_width(math.exp(logarithm)) - abs(self.mean)

        if self.mean == 0.0 or beyond(_SMALLEST) <= 0.0:
            return 1.0 if self.mean == 0.0 else math.exp(_SMALLEST)
        return math.exp(float(optimize.brentq(beyond, _SMALLEST, 0.0, xtol=1e-9)))


def two_noises(differences: Array, resolution: float = 0.0) -> TwoNoises:
    """Compute the analysis of variance of differences by seed and sample, [S, N]; S and N are at least 2.

    Args:
        differences: one student's values minus the other's.
        resolution: the same as in `search.evidence.statistics.paired.paired_test`.
    """
    seeds, samples = differences.shape
    # Sums in single precision are exact for accuracies, and good to six digits for other metrics.
    by_seed = differences.sum(axis=1).astype(np.float64) / samples
    by_sample = differences.sum(axis=0).astype(np.float64) / seeds
    mean = float(by_seed.mean())
    of_seeds = float(((by_seed - mean) ** 2).sum())
    of_samples = float(((by_sample - mean) ** 2).sum())
    flat = np.ravel(differences)
    total = float(flat @ flat) - seeds * samples * mean**2
    rest = max(total - samples * of_seeds - seeds * of_samples, 0.0)
    return TwoNoises(
        mean=mean,
        seeds=seeds,
        samples=samples,
        seed_square=max(of_seeds / (seeds - 1), resolution**2),
        sample_square=seeds * of_samples / (samples - 1),
        residual_square=rest / ((seeds - 1) * (samples - 1)),
    )
