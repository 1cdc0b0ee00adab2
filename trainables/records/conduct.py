"""Describes what a rule did in a training, over all of its steps: plain data, without torch.

A trace covers the probed steps only, and a decision log gives λ to 0.05. Only the record of every step tells whether a
rule acted at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import pydantic

from trainables.settings import Settings

FIRST_SHARE = 0.02
"""The share of a training's steps that count as its first ones, in which a rule has measured little."""
MOST_LEVELS = 8
"""The most values of λ that are listed one by one; more are given as a range."""


class SampleConduct(Settings):
    """λ of the single samples after the first steps, under a rule that gives each sample its own λ."""

    weight_range: tuple[float, float]
    """Lowest and highest λ of any sample."""
    spread: float
    """Mean over the steps of λ's standard deviation within a batch."""
    levels: tuple[tuple[float, float], ...] | None
    """All λ that occurred, in rising order, each with its share of the samples; None where there are more than 8."""


class ReadingWindows(Settings):
    """One reading's mean in each window of a training; see `policies.monitoring.windows`."""

    counts: tuple[int, ...]
    """The number of readings in each window."""
    means: tuple[float | None, ...]
    """Their means, geometric for norm ratios; None in windows without one."""


class Conduct(Settings):
    """λ as it was really used, over all steps of all seeds; for a rule on samples, λ is the mean over the batch.

    "Settled" figures leave out the first steps of each training, 2 % of them, rounded down.
    """

    steps: int
    """The number of steps of all seeds together."""
    weight_mean: float
    weight_range: tuple[float, float]
    """Lowest and highest λ."""
    settled_mean: float
    settled_range: tuple[float, float]
    scale_range: tuple[float, float]
    """Lowest and highest scale s, after the first steps."""
    branches: tuple[tuple[int, int], ...]
    """The cases of the rule that were ever taken, each with its number of steps; see `policies.policy.Decision`."""
    settled_branches: tuple[int, ...]
    switches: int
    """The number of steps that took another case than the step before."""
    samples: SampleConduct | None = None
    """λ of the single samples; None for a rule that gives all samples of a batch one λ."""
    readings: dict[str, ReadingWindows] = pydantic.Field(default_factory=dict)
    """λ and the readings along the training, by name. Empty for several seeds together, and in older histories."""


def join_conducts(parts: Sequence[Conduct | None]) -> Conduct | None:
    """Join the conduct of several seeds; None if that of one seed is not known, or if there is none."""
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    if len(known) == 1:
        return known[0]
    steps = [part.steps for part in known]
    branches: Counter[int] = Counter()
    for part in known:
        branches.update(dict(part.branches))
    return Conduct(
        steps=sum(steps),
        weight_mean=_mean([part.weight_mean for part in known], steps),
        weight_range=_hull([part.weight_range for part in known]),
        settled_mean=_mean([part.settled_mean for part in known], steps),
        settled_range=_hull([part.settled_range for part in known]),
        scale_range=_hull([part.scale_range for part in known]),
        branches=tuple(sorted(branches.items())),
        settled_branches=tuple(sorted({branch for part in known for branch in part.settled_branches})),
        switches=sum(part.switches for part in known),
        samples=_join_samples([part.samples for part in known], steps),
    )


def _join_samples(parts: Sequence[SampleConduct | None], steps: Sequence[int]) -> SampleConduct | None:
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    shares: defaultdict[float, float] = defaultdict(float)
    for part, count in zip(known, steps, strict=True):
        for weight, share in part.levels or ():
            shares[weight] += share * count / sum(steps)
    listed = all(part.levels is not None for part in known) and len(shares) <= MOST_LEVELS
    return SampleConduct(
        weight_range=_hull([part.weight_range for part in known]),
        spread=_mean([part.spread for part in known], steps),
        levels=tuple(sorted(shares.items())) if listed else None,
    )


def _mean(values: Sequence[float], steps: Sequence[int]) -> float:
    return sum(value * count for value, count in zip(values, steps, strict=True)) / sum(steps)


def _hull(ranges: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return min(low for low, _ in ranges), max(high for _, high in ranges)
