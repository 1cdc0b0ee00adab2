"""Trains the arms of a diagnosis, in this process."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from policies.errors import KDPolicySearchError
from search.diagnosis.posterior import Floats
from search.settings import CONSTANT_FAMILY, SearchConfig
from trainables.errors import ModelError
from trainables.evaluation import evaluate
from trainables.functions import FunctionPlace
from trainables.records import TracePoint
from trainables.suggestion import apply_suggestion
from trainables.training import Distillation, TrainingData
from trainables.trainings import begin_training


@dataclasses.dataclass(frozen=True)
class Trained:
    """The results of one suggestion."""

    scores: Mapping[int, float]
    """The final validation score by seed; empty if a student did not stay finite or the rule cannot be used."""
    by_sample: Mapping[int, Floats]
    """The score on each validation sample by seed, [N]; empty where scores are no means over samples."""
    trace: tuple[TracePoint, ...] = ()
    problem: str = ""

    def joined(self, other: Trained) -> Trained:
        """Return the results under both's seeds; the trace is that of the later ones."""
        problem = self.problem or other.problem
        if problem:
            return Trained({}, {}, problem=problem)
        return Trained({**self.scores, **other.scores}, {**self.by_sample, **other.by_sample}, other.trace)


class Trainer:
    """Trains what suggestions describe, and counts what that costs.

    Args:
        config: the search.
        data: what its trainings read, on its device, or the user's function.
    """

    def __init__(self, config: SearchConfig, data: TrainingData | FunctionPlace) -> None:
        self.config, self.data = config, data
        self.trainings = 0
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.steps = 0
        """The steps of one training, once there was one."""

    def train(self, suggestion: Mapping[str, Any], seeds: Sequence[int]) -> Trained:
        """Train one student a seed to the end.

        A student that does not stay finite, or a rule that looks at more than there is, gives a `Trained` without
        scores: both are findings.

        Raises:
            KDPolicySearchError: a constant cannot be trained, so nothing can.
        """
        settings = apply_suggestion(self.config.base_trial(), {**suggestion, "seeds": tuple(seeds)})
        began, used = time.monotonic(), time.process_time()
        training = begin_training(settings, self.data)
        try:
            for _ in training.records():
                pass
            self.steps = training.facts.total_steps
            try:
                training.check_scores()
            except ModelError as error:
                return Trained({}, {}, problem=str(error))
            by_sample = _by_sample(training, settings.objective.name) if isinstance(training, Distillation) else {}
            sign = settings.objective.score(1.0)
            return Trained(
                {result.seed: settings.objective.score_of(result) for result in training.results},
                {seed: sign * values for seed, values in by_sample.items()},
                tuple(training.trace),
            )
        except KDPolicySearchError as error:
            if suggestion["family"] == CONSTANT_FAMILY:
                raise
            return Trained({}, {}, problem=str(error))
        finally:
            training.close()
            self.trainings += len(seeds)
            self.seconds += time.monotonic() - began
            self.cpu_seconds += time.process_time() - used


def _by_sample(training: Distillation, metric: str) -> dict[int, Floats]:
    """Return the students' results on each validation sample; nothing unless the metric is a mean over samples."""
    found: dict[int, Floats] = {}
    for replicate in training.replicates:
        evaluation = evaluate(replicate.student, training.data.validation, training.settings.own_kpis, by_sample=True)
        if metric in evaluation.samples:
            found[replicate.seed] = np.asarray(evaluation.samples[metric].values(), np.float64)
    return found
