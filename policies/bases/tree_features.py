"""Defines the features of a step or a sample that a rule tree may ask about, and the thresholds of cuts in [0, 1]."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from policies.bases.loss_based import bounded
from policies.geometric import log_ratio
from policies.parameter import brief, percent
from policies.policy import Need, Observation


@dataclasses.dataclass(frozen=True, kw_only=True)
class Feature:
    """One quantity. A cut moves from `low` to `high`, by equal factors if `log`, else by equal steps.

    `reading` is its value at a step, as a logarithm if `log`, so that ratios average geometrically; NaN where unknown.
    `highest` is its largest possible value. `question` states the condition in words, with `{than}` for "at most" or
    "more than", `{threshold}` and `{labels}`.
    """

    name: str
    need: Need
    reading: Callable[[Observation], float]
    low: float = 0.0
    high: float = 1.0
    highest: float = 1.0
    question: str
    log: bool = False
    percent: bool = False

    def threshold(self, cut: float) -> float:
        """The value that a cut in [0, 1] stands for, in the quantity's own unit."""
        if self.log:
            return self.low * math.pow(self.high / self.low, cut)
        return self.low + (self.high - self.low) * cut

    def value(self, mean: float) -> float:
        """The quantity in its own unit, from an average of readings."""
        return math.exp(mean) if self.log else mean

    def threshold_in_words(self, cut: float) -> str:
        """The threshold as a label shows it: `.25`, `30%`."""
        threshold = self.threshold(cut)
        return percent(threshold) if self.percent else brief(threshold)

    def in_words(self, cut: float, *, above: bool, labels: str) -> str:
        """State in words that the quantity is above a cut, or that it is not."""
        threshold = self.threshold(cut)
        number = percent(threshold) if self.percent else f"{threshold:.3g}"
        return self.question.format(than="more than" if above else "at most", threshold=number, labels=labels)


def _cosine(observation: Observation) -> float:
    return math.nan if observation.geometry is None else observation.geometry.cosine


def _log_norm_ratio(observation: Observation) -> float:
    return math.nan if observation.geometry is None else log_ratio(observation.geometry)


def _log_loss_ratio(observation: Observation) -> float:
    return math.log(bounded(observation.task_loss)) - math.log(bounded(observation.distill_loss))


def _progress(observation: Observation) -> float:
    return observation.progress


def _confidence(observation: Observation) -> float:
    return math.nan if observation.confidence is None else observation.confidence


def _agreement(observation: Observation) -> float:
    return math.nan if observation.agreement is None else observation.agreement


_ALL = (
    Feature(
        name="cosine",
        need="geometry",
        reading=_cosine,
        low=-1.0,
        question="the pulls of the teacher and {labels} have a cosine of {than} {threshold}",
    ),
    Feature(
        name="norm_ratio",
        need="geometry",
        reading=_log_norm_ratio,
        low=0.1,
        high=20.0,
        highest=math.inf,
        question="the teacher pulls {than} {threshold} times as hard as {labels}",
        log=True,
    ),
    Feature(
        name="progress",
        need="progress",
        reading=_progress,
        question="{than} {threshold} of the training is done",
        percent=True,
    ),
    Feature(
        name="loss_ratio",
        need="losses",
        reading=_log_loss_ratio,
        low=0.01,
        high=100.0,
        highest=math.inf,
        question="the task loss is {than} {threshold} times the distillation loss",
        log=True,
    ),
    Feature(
        name="confidence",
        need="teacher",
        reading=_confidence,
        question="the teacher is {than} {threshold} sure of its answer",
        percent=True,
    ),
    Feature(
        name="agreement",
        need="teacher",
        reading=_agreement,
        question="the teacher gives {labels} a probability of {than} {threshold}",
        percent=True,
    ),
)

FEATURES = {feature.name: feature for feature in _ALL}
