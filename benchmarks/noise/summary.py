"""Averages verdicts over settings and seeds, and writes them as CSV."""

from __future__ import annotations

import csv
import math
import pathlib
import statistics
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from noise.estimators import Estimator
from noise.verdicts import NAMES, Verdict, average
from scipy import stats


class Setting(NamedTuple):
    """A task, the share of its labels that is wrong, and the samples of a batch."""

    task: str
    wrong: float
    batch: int


Verdicts = Mapping[tuple[Setting, int], Mapping[Estimator, Mapping[str, Verdict]]]
"""By setting and seed, then by estimator, then by the rule's name in `NAMES`."""


class Mean(NamedTuple):
    """The mean over seeds, and half of its 95 % interval (Student's t between the seeds; NaN from one seed)."""

    value: float
    half: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        return f"{self.value:.2f}" if math.isnan(self.half) else f"{self.value:.2f} ± {self.half:.2f}"


def summary(verdicts: Verdicts, settings: Iterable[Setting], estimator: Estimator, name: str, field: str) -> Mean:
    """Average a field of a rule's verdicts over settings within each seed, then over the seeds."""
    chosen, seeds = set(settings), sorted({seed for _, seed in verdicts})
    means = [
        getattr(average([found[estimator][name] for (s, by), found in verdicts.items() if by == seed and s in chosen]), field)
        for seed in seeds
    ]
    return over_seeds(means)


def over_seeds(values: list[float]) -> Mean:
    """Return the mean and its interval without values that are NaN."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Mean(math.nan, math.nan)
    if len(known) == 1:
        return Mean(known[0], math.nan)
    error = statistics.stdev(known) / math.sqrt(len(known))
    return Mean(statistics.fmean(known), float(stats.t.ppf(0.975, len(known) - 1)) * error)


def write_csv(file: pathlib.Path, verdicts: Verdicts) -> None:
    """Write a line for each setting and estimator, with means over the seeds: a column for each rule and field."""
    settings = sorted({setting for setting, _ in verdicts})
    known = next(iter(verdicts.values()))
    columns = [(name, field) for name in NAMES for field in ("agreement", "kappa", "balanced", "error", "switches", "noise_free_switches")]
    columns = [(name, field) for name, field in columns if name != "norm balance" or field == "error"]
    with file.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow([*Setting._fields, *Estimator._fields, *(f"{name} {field}" for name, field in columns)])
        for setting in settings:
            for estimator in known:
                means = [summary(verdicts, [setting], estimator, name, field).value for name, field in columns]
                lines.writerow([*setting, *estimator, *("" if math.isnan(m) else f"{m:.3g}" for m in means)])
