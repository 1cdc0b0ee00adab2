"""Averages verdicts over settings and seeds, and writes them as CSV."""

from __future__ import annotations

import csv
import math
import pathlib
import statistics
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from scipy import stats

from noise.estimators import Estimator
from noise.verdicts import NAMES, Verdict


class Setting(NamedTuple):
    """A task, the share of its labels that is wrong, and the samples of a batch."""

    task: str
    wrong: float
    batch: int


Verdicts = dict[tuple[Setting, int], dict[Estimator, dict[str, Verdict]]]
"""Maps setting and seed to estimators, and those to the verdict on each of `NAMES`."""


class Mean(NamedTuple):
    """The mean over settings, and half of its 95 % interval; NaN where a single seed tells nothing."""

    value: float
    half: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "–"
        return f"{self.value:.2f}" if math.isnan(self.half) else f"{self.value:.2f} ± {self.half:.2f}"


def summary(verdicts: Verdicts, settings: Iterable[Setting], estimator: Estimator, name: str, field: str) -> Mean:
    """Average a field of a rule's verdicts over settings; see `stratified`."""
    chosen = set(settings)
    found: dict[Setting, list[float]] = {setting: [] for setting in chosen}
    for (setting, _), judged in verdicts.items():
        if setting in chosen:
            found[setting].append(getattr(judged[estimator][name], field))
    return stratified(list(found.values()))


def stratified(groups: Sequence[Sequence[float]]) -> Mean:
    """Return the mean of the groups' means, with Student's interval from the pooled spread within the groups.

    Args:
        groups: the values of each setting's seeds. NaN is left out, and a group without values too.
    """
    known = [values for group in groups if (values := [value for value in group if not math.isnan(value)])]
    if not known:
        return Mean(math.nan, math.nan)
    mean = statistics.fmean(statistics.fmean(values) for values in known)
    freedom = sum(len(values) - 1 for values in known)
    if freedom == 0:
        return Mean(mean, math.nan)
    pooled = sum(statistics.variance(values) * (len(values) - 1) for values in known if len(values) > 1) / freedom
    error = math.sqrt(pooled * sum(1 / len(values) for values in known)) / len(known)
    return Mean(mean, float(stats.t.ppf(0.975, freedom)) * error)


def write_csv(file: pathlib.Path, verdicts: Verdicts) -> None:
    """Write a line for each setting and estimator, with means over the seeds: a column for each rule and field."""
    settings = sorted({setting for setting, _ in verdicts})
    known = next(iter(verdicts.values()))
    columns = [
        (name, field)
        for name in NAMES
        for field in ("agreement", "kappa", "balanced", "error", "switches", "noise_free_switches")
    ]
    columns = [(name, field) for name, field in columns if name != "norm balance" or field == "error"]
    with file.open("w", newline="", encoding="utf-8") as stream:
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow([*Setting._fields, *Estimator._fields, *(f"{name} {field}" for name, field in columns)])
        for setting in settings:
            for estimator in known:
                means = [summary(verdicts, [setting], estimator, name, field).value for name, field in columns]
                lines.writerow([*setting, *estimator, *("" if math.isnan(m) else f"{m:.3g}" for m in means)])
