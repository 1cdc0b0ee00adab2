"""`Training` is one trial in training, in the search's own loop or in a user's: its records, checks and history."""

from __future__ import annotations

import abc
import itertools
import math
import pathlib
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from policies.balancer import Step
from policies.document import policy_document
from policies.geometric import log_ratio
from policies.policy import Policy
from trainables.config import TrialSettings
from trainables.errors import ModelError
from trainables.records import Conduct, DecisionEntry, EpochRecord, ReplicateResult, TracePoint, TrialHistory
from trainables.training.decision_log import DecisionLog, LogContext


class TrainingFacts(NamedTuple):
    """Facts of a trial so far; counts are over all seeds."""

    policy: Policy
    parameters: int
    """Trainable parameters of the student."""
    device: str
    interventions: dict[str, int]
    skipped_steps: int
    conduct: Conduct | None
    options: Mapping[str, Any]
    """The options that a `policy.json` names: the searched ones of a task, or all of a function."""
    training: Mapping[str, Any]
    """The settings of the training that are in effect."""
    steps: int
    """The number of steps of one seed."""
    total_steps: int


class Training(abc.ABC):
    """One trial: the same student and policy under each of the settings' seeds.

    It uses no Ray and no MLflow. Its caller (a Tune trial, a test, a notebook) consumes its records and stores its
    state.
    """

    settings: TrialSettings
    epochs: int
    records_so_far: list[EpochRecord]
    trace: list[TracePoint]
    logs: Sequence[DecisionLog]
    """The decision log of each seed."""
    results: list[ReplicateResult]
    """The final results of the seeds, once all are trained."""

    @property
    @abc.abstractmethod
    def epoch(self) -> int:
        """The number of epochs that are over."""

    @property
    @abc.abstractmethod
    def done(self) -> bool:
        """True if every seed is trained to its end."""

    @property
    @abc.abstractmethod
    def facts(self) -> TrainingFacts:
        """The facts for the history."""

    @property
    @abc.abstractmethod
    def broken_seeds(self) -> tuple[int, ...]:
        """The seeds of students with a parameter that is not finite; this waits for the device."""

    @abc.abstractmethod
    def records(self) -> Iterator[EpochRecord | None]:
        """Continue the training, yielding a record after each evaluation, and None at other places to stop at."""

    @abc.abstractmethod
    def students(self) -> dict[int, dict[str, Tensor]]:
        """Return the students' `state_dict` by seed; empty if they are not kept."""

    @abc.abstractmethod
    def save_state(self, folder: pathlib.Path) -> dict[str, Any]:
        """Return the state in tensors and plain values, so that it can be read without running code.

        Args:
            folder: takes further files of the state.
        """

    @abc.abstractmethod
    def load_state(self, folder: pathlib.Path, state: dict[str, Any]) -> None:
        """Continue from what `save_state` returned and wrote."""

    def close(self) -> None:  # noqa: B027 - most trainings hold nothing
        """Release what the training holds outside of this object."""

    def history(self) -> TrialHistory:
        """Return the history so far; with a score once the training is done, if all of its students have one."""
        told = self.done and not self._without_score
        scores = [self.settings.objective.score_of(r) for r in self.results] if told else []
        facts = self.facts
        return TrialHistory(
            score=statistics.fmean(scores) if scores else None,
            score_std=statistics.stdev(scores) if len(scores) > 1 else None,
            epochs=tuple(self.records_so_far),
            trace=tuple(self.trace),
            decisions=len(self.decisions),
            decisions_dropped=sum(log.dropped for log in self.logs),
            interventions=facts.interventions,
            skipped_steps=facts.skipped_steps,
            conduct=facts.conduct,
            replicates=tuple(self.results),
            policy=policy_document(
                facts.policy,
                temperature=self.settings.temperature,
                training=facts.training,
                **({"options": facts.options} if facts.options else {}),
            ),
            parameters=facts.parameters,
            training_seconds=sum(r.seconds for r in self.records_so_far),
            device=facts.device,
        )

    def check_losses(self) -> None:
        """Check that every student is sound: one whose validation loss is not finite never recovers.

        Raises:
            ModelError: at the last evaluation the validation loss was not finite under some seed, or a parameter is
                not finite at the end.
        """
        broken = list(itertools.takewhile(lambda record: not _is_sound(record), reversed(self.records_so_far)))
        if broken:
            epoch, problem = broken[-1].epoch, f"its validation loss became {broken[-1].validation_loss}"
        elif self.done and self.broken_seeds:
            epoch, problem = self.epochs, "some of its parameters are not"
        else:
            return
        lost = self.broken_seeds
        seeds = f" (seed {', '.join(map(str, lost))})" if lost else ""
        policy = self.facts.policy
        raise ModelError(
            f"the student must stay finite, but {problem} by epoch {epoch} of {self.epochs}{seeds}, under"
            f" `{policy.family}` ({policy.rule().removesuffix('.')}) with `learning_rate` ="
            f" {self.settings.training.learning_rate:.3g}; lower the learning rate, or narrow its range."
        )

    def check_scores(self) -> None:
        """Check that every student has a score, once the training is done.

        Raises:
            ModelError: the objective is not finite under some seed, or as `check_losses`.
        """
        self.check_losses()
        if bad := self._without_score:
            raise ModelError(
                f"the objective `{self.settings.objective.name}` must be finite for a trained student, but is not with"
                f" seed {', '.join(map(str, bad))}; let its value be a number there, too."
            )

    @property
    def _without_score(self) -> list[int]:
        """The seeds of trained students for which the objective or the validation loss is not finite."""
        score_of = self.settings.objective.score_of
        return [r.seed for r in self.results if not math.isfinite(score_of(r)) or not _is_sound(r)]

    @property
    def decisions(self) -> tuple[DecisionEntry, ...]:
        """The decision log so far, by seed, then by step."""
        return tuple(entry for log in self.logs for entry in log.entries)

    def log_context(self) -> LogContext:
        """Return the description of the trial for its decision log."""
        facts = self.facts
        return LogContext(
            policy=policy_document(facts.policy, temperature=self.settings.temperature),
            seeds=self.settings.seeds,
            steps=facts.steps,
            total_steps=facts.total_steps,
            dropped=sum(log.dropped for log in self.logs),
        )


class ProbedStep(NamedTuple):
    """The readings of one probed step under one seed."""

    weight: float
    scale: float
    cosine: float
    log_ratio: float
    """The natural logarithm of the norm ratio."""
    task_loss: float
    distill_loss: float

    @classmethod
    def of(cls, step: Step) -> ProbedStep:
        """Read a step whose geometry was measured; this waits for the device."""
        assert step.geometry is not None
        return cls(
            weight=step.decision.weight,
            scale=step.decision.scale,
            cosine=step.geometry.cosine,
            log_ratio=log_ratio(step.geometry),
            task_loss=float(step.task_loss),
            distill_loss=float(step.distill_loss),
        )


def trace_point(step: int, epoch: float, same: Sequence[ProbedStep]) -> TracePoint:
    """Average one probed step over the seeds, and give the ranges; ratios are averaged geometrically."""
    weights, cosines = [s.weight for s in same], [s.cosine for s in same]
    return TracePoint(
        step=step,
        epoch=epoch,
        weight=statistics.fmean(weights),
        scale=statistics.fmean(s.scale for s in same),
        cosine=statistics.fmean(cosines),
        norm_ratio=math.exp(statistics.fmean(s.log_ratio for s in same)),
        task_loss=statistics.fmean(s.task_loss for s in same),
        distill_loss=statistics.fmean(s.distill_loss for s in same),
        weight_range=(min(weights), max(weights)),
        cosine_range=(min(cosines), max(cosines)),
    )


def spread_evenly(count: int, points: int) -> list[int]:
    """Return `points` integers from 0 to count - 1, evenly spread, both ends included (fewer if `count` is smaller)."""
    return sorted({int(x) for x in np.linspace(0, count - 1, min(points, count)).round()})


def mean_of(values: Iterable[float | None]) -> float | None:
    """Return the mean; None if a value is not known."""
    known = list(values)
    return None if None in known else statistics.fmean(value for value in known if value is not None)


def _is_sound(result: EpochRecord | ReplicateResult) -> bool:
    """Tell whether the student is sound: a parameter or statistic that is not finite shows in its validation loss."""
    return result.validation_loss is None or math.isfinite(result.validation_loss)
