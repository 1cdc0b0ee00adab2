"""Compares the decisions of rules on noisy readings with the same rules' decisions on the whole training set.

A threshold rule is tried at three numbers: the quartiles of the noise-free reading along the training (`same`), and the
quartiles of the estimator's own smoothed reading (`own`), which is where a search would find its threshold. Means are
over the three. The noise-free rule has no margin and no smoothing.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from noise.estimators import Estimator, geometries, read
from noise.trainings import Course
from policies import create_policy
from policies.families.gradients.thresholds import ThresholdPolicy
from policies.geometric import log_ratio
from policies.geometry import Geometry
from policies.policy import BatchPolicy, Observation
from policies.smoothing import Switch

QUARTILES = (0.25, 0.5, 0.75)
THRESHOLDS = {"cosine": "cosine_threshold", "ratio": "norm_ratio_threshold"}
FORMULAS: dict[str, tuple[str, dict[str, float]]] = {
    "conflict": ("cosine_threshold", {"threshold": 0.0, "above": 0.9, "below": 0.0}),
    "safe interval": ("safe_interval", {}),
    "cosine gate": ("cosine_gate", {}),
    "norm balance": ("norm_balance", {}),
}
NAMES = ("cosine own", "cosine same", "ratio own", "ratio same", *FORMULAS)


class Verdict(NamedTuple):
    """The agreement of a rule's decisions with those without noise, over the checkpoints of one training.

    `agreement` is a share; a rule that never switches has it too, so `kappa` (Cohen's; 0 for such a rule) and
    `balanced` (the mean of the shares within each noise-free decision) correct for that. They are NaN where the
    noise-free rule never switches, and for rules without branches. `error` is the mean |λ - λ*|. `switches` and
    `noise_free_switches` are counted between checkpoints.
    """

    agreement: float
    kappa: float
    balanced: float
    error: float
    switches: float
    noise_free_switches: float


class Readings(NamedTuple):
    """Smoothed geometries, their cosines and the logarithms of their norm ratios."""

    all: list[Geometry]
    cosines: list[float]
    log_ratios: list[float]

    @classmethod
    def of(cls, found: list[Geometry]) -> Readings:
        """Take cosines and ratios once for all rules."""
        return cls(found, [one.cosine for one in found], [log_ratio(one) for one in found])


class Decisions(NamedTuple):
    """λ and branch at each checkpoint."""

    weights: npt.NDArray[np.float64]
    branches: npt.NDArray[np.int64]


def judge(course: Course, estimator: Estimator) -> dict[str, Verdict]:
    """Return a verdict for each of `NAMES`."""
    noisy, truth = Readings.of(read(course, estimator)), Readings.of(geometries(course.whole))
    held = course.checkpoints // estimator.every

    def compared(family: str, mine: dict[str, float], theirs: dict[str, float]) -> Verdict:
        free = {"hysteresis": 0.0} if family in THRESHOLDS.values() else {}
        found = _decide(family, mine, noisy)
        return compare(
            Decisions(found.weights[held], found.branches[held]),
            _decide(family, {**theirs, **free}, truth),
            branches=family != "norm_balance",
        )

    verdicts = {}
    for name, family in THRESHOLDS.items():
        for mode, own in (("own", noisy), ("same", truth)):
            numbers = zip(_quartiles(name, own), _quartiles(name, truth), strict=True)
            each = [compared(family, {"threshold": mine}, {"threshold": theirs}) for mine, theirs in numbers]
            verdicts[f"{name} {mode}"] = average(each)
    for name, (family, parameters) in FORMULAS.items():
        verdicts[name] = compared(family, parameters, parameters)
    return verdicts


def compare(mine: Decisions, theirs: Decisions, *, branches: bool = True) -> Verdict:
    """Compare decisions with those without noise."""
    error = float(np.abs(mine.weights - theirs.weights).mean())
    if not branches:
        return Verdict(math.nan, math.nan, math.nan, error, math.nan, math.nan)
    kinds = np.unique(theirs.branches)
    equal = mine.branches == theirs.branches
    agreement = float(equal.mean())
    chance = sum(float((mine.branches == kind).mean() * (theirs.branches == kind).mean()) for kind in kinds)
    judged = len(kinds) > 1
    return Verdict(
        agreement=agreement,
        kappa=(agreement - chance) / (1.0 - chance) if judged else math.nan,
        balanced=float(np.mean([equal[theirs.branches == kind].mean() for kind in kinds])) if judged else math.nan,
        error=error,
        switches=float(np.count_nonzero(np.diff(mine.branches))),
        noise_free_switches=float(np.count_nonzero(np.diff(theirs.branches))),
    )


def one_switch(course: Course) -> dict[str, float]:
    """Return the best κ of a rule that reads nothing and switches once, at the best step: what a schedule could reach.

    It is chosen after the fact for each quartile, so it is an upper bound.
    """
    truth, found = Readings.of(geometries(course.whole)), {}
    count = len(course.checkpoints)
    for name, family in THRESHOLDS.items():
        best = []
        for number in _quartiles(name, truth):
            theirs = _decide(family, {"threshold": number, "hysteresis": 0.0}, truth)
            schedules = ((np.arange(count) >= at) == later for at in range(count + 1) for later in (False, True))
            verdicts = [compare(Decisions(theirs.weights, s.astype(np.int64)), theirs) for s in schedules]
            best.append(
                max((verdict.kappa for verdict in verdicts if verdict.kappa == verdict.kappa), default=math.nan)
            )
        found[f"{name} own"] = float(np.nanmean(best))
    return found


def of_right_labels(course: Course) -> dict[str, float]:
    """Return κ between thresholds on the whole set with its wrong labels, and on the same with the right ones.

    Each threshold lies at the quartile of its own readings. No batch is involved, so only the labels' noise is left.
    """
    theirs, mine = Readings.of(geometries(course.right)), Readings.of(geometries(course.whole))
    found = {}
    for name, family in THRESHOLDS.items():
        numbers = zip(_quartiles(name, mine), _quartiles(name, theirs), strict=True)
        verdicts = [
            compare(
                *(
                    _decide(family, {"threshold": n, "hysteresis": 0.0}, r)
                    for n, r in zip(pair, (mine, theirs), strict=True)
                )
            )
            for pair in numbers
        ]
        found[f"{name} own"] = average(verdicts).kappa
    return found


def average(verdicts: list[Verdict]) -> Verdict:
    """Average field by field, without those that are NaN; NaN if all are."""
    columns = zip(*verdicts, strict=True)
    return Verdict(*(float(np.mean(known)) if (known := [v for v in c if v == v]) else math.nan for c in columns))


def _decide(family: str, parameters: dict[str, float], readings: Readings) -> Decisions:
    """Return the decision after each reading; readings are smoothed already, and those that are unknown are ignored."""
    policy = create_policy(family, {**parameters, "smoothing": 0.0, "measure_every": 1})
    if isinstance(policy, ThresholdPolicy):  # the switch alone: a tenth of the time, without the reasons in words
        switch, weights, found = Switch(*policy.margin()), policy.weights(), []
        decision = (policy.initial_weight, 0)
        for value in readings.cosines if family == "cosine_threshold" else readings.log_ratios:
            if math.isfinite(value):
                above = switch.update(value)
                decision = (weights[above], int(above))
            found.append(decision)
    else:
        assert isinstance(policy, BatchPolicy)
        decisions = (policy.decide(Observation(step, 0.0, geometry=one)) for step, one in enumerate(readings.all))
        found = [(one.weight, one.branch) for one in decisions]
    return Decisions(np.array([weight for weight, _ in found]), np.array([branch for _, branch in found]))


def _quartiles(name: str, readings: Readings) -> list[float]:
    """Return three thresholds, inside the range that the rules allow."""
    every = readings.cosines if name == "cosine" else readings.log_ratios
    known = [value for value in every if math.isfinite(value)] or [0.0]  # no switch meets a number if none is known
    values = np.quantile(known, QUARTILES)
    return [float(value) for value in (values if name == "cosine" else np.exp(values).clip(1e-6, 1e6))]
