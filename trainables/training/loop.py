"""Trains one trial: its replicates side by side, as a generator of records.

The loop uses no Ray, no MLflow and no files. Its caller (a Tune trial, a test, a notebook) consumes its records and
stores its state.
"""

from __future__ import annotations

import dataclasses
import math
import pathlib
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from policies.balancer import Step
from trainables.config import TrialSettings
from trainables.evaluation import Evaluation
from trainables.records import Conduct, EpochRecord, ReplicateResult, TracePoint, TrialHistory, join_conducts
from trainables.training.conduct_log import ConductLog
from trainables.training.course import ProbedStep, Training, TrainingFacts, mean_of, spread_evenly, trace_point
from trainables.training.data import TrainingData
from trainables.training.decision_log import MOST_ENTRIES, DecisionLog
from trainables.training.replicate import Replicate
from trainables.training.stacking import trains_stacked
from trainables.training.together import Together


@dataclasses.dataclass
class _Sums:
    """Sums over the steps of all replicates since the last evaluation."""

    task_loss: float = 0.0
    distill_loss: float = 0.0
    weight: float = 0.0
    steps: int = 0
    seconds: float = 0.0


class Distillation(Training):
    """One trial: the same student, policy and training under each of the settings' seeds.

    Args:
        settings: the trial.
        data: the data that it reads, on its device.
        watch: called with each seed and its own points of the trace; the history keeps only their means.
    """

    def __init__(
        self, settings: TrialSettings, data: TrainingData, watch: Callable[[int, TracePoint], None] | None = None
    ) -> None:
        self.settings = settings
        self.data = data = data.for_trial(settings)
        self._watch = watch
        augmentation = data.augmentation(settings.augmentation)
        self.replicates = [Replicate(settings, seed, data, augmentation) for seed in settings.seeds]
        first = self.replicates[0]
        self.epochs = settings.training.epochs
        # The last epochs of as many equal shares of the training as there are evaluations.
        shares = min(settings.evaluations, self.epochs)
        self.evaluated_epochs = frozenset(math.ceil((i + 1) * self.epochs / shares) for i in range(shares))
        self.probes = frozenset(spread_evenly(first.total_steps, settings.trace_points))
        self.records_so_far: list[EpochRecord] = []
        self.trace: list[TracePoint] = []
        self.stacked = trains_stacked(settings.student, settings.device, settings.training)
        """True if the replicates train as one stacked model, and not one after another."""
        self._together: Together | None = None
        kept = MOST_ENTRIES // len(settings.seeds)
        self.logs = [DecisionLog(seed, kept) for seed in settings.seeds]
        self._conducts = [ConductLog(first.total_steps) for _ in settings.seeds]
        self.results: list[ReplicateResult] = []
        self._sums = _Sums()

    @property
    def epoch(self) -> int:
        """The number of epochs that are over."""
        return self.replicates[0].epoch

    @property
    def done(self) -> bool:
        """True if every replicate has seen every epoch."""
        return self.epoch >= self.epochs

    @property
    def facts(self) -> TrainingFacts:
        """The facts for the history."""
        first = self.replicates[0]
        interventions: Counter[str] = Counter()
        for replicate in self.replicates:
            interventions.update(replicate.interventions)
        return TrainingFacts(
            policy=first.balancer.policy,
            parameters=sum(p.numel() for p in first.balancer.parameters),
            device=self.data.compute.describe(),
            interventions=dict(interventions),
            skipped_steps=sum(replicate.skipped_steps for replicate in self.replicates),
            conduct=join_conducts([log.conduct() for log in self._conducts]),
            options=self.settings.options,
            training=self.settings.training.in_effect(self.data.own_optimizer),
            steps=first.balancer.step,
            total_steps=first.total_steps,
        )

    @property
    def broken_seeds(self) -> tuple[int, ...]:
        """The seeds of students with a parameter that is not finite; this waits for the device."""
        return tuple(replicate.seed for replicate in self.replicates if not replicate.is_finite)

    def students(self) -> dict[int, dict[str, Tensor]]:
        """Return the students' `state_dict` by seed."""
        return {replicate.seed: replicate.student.state_dict() for replicate in self.replicates}

    def records(self) -> Iterator[EpochRecord | None]:
        """Continue the training, yielding after each epoch: a record if it was evaluated, else None.

        At a yield the state may be stored and loaded elsewhere. On a CPU the rest is then equal to the last bit.
        """
        while not self.done:
            self._train_epoch()
            yield self._evaluate() if self.replicates[0].epoch in self.evaluated_epochs else None

    def save_state(self, folder: pathlib.Path) -> dict[str, Any]:  # noqa: ARG002
        """Return the state; no further file is needed."""
        return self.state_dict()

    def load_state(self, folder: pathlib.Path, state: dict[str, Any]) -> None:  # noqa: ARG002
        """Continue from a state."""
        self.load_state_dict(state)

    def state_dict(self) -> dict[str, Any]:
        """Return the state in tensors and plain values only, so that it can be read without running code."""
        if self._together is not None:
            self._together.hand_over()
        return {
            "replicates": [r.state_dict() for r in self.replicates],
            "history": self.history().to_json(),
            "logs": [log.state_dict() for log in self.logs],
            "conducts": [log.state_dict() for log in self._conducts],
            "sums": dataclasses.asdict(self._sums),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume from a `state_dict`."""
        self._together = None
        for replicate, stored in zip(self.replicates, state["replicates"], strict=True):
            replicate.load_state_dict(stored)
        history = TrialHistory.from_json(state["history"])
        self.records_so_far = list(history.epochs)
        self.trace = list(history.trace)
        for log, stored in zip(self.logs, state["logs"], strict=True):
            log.load_state_dict(stored)
        earlier_release = [None] * len(self._conducts)
        for conduct, stored in zip(self._conducts, state.get("conducts", earlier_release), strict=True):
            conduct.load_state_dict(stored)
        self.results = list(history.replicates)
        self._sums = _Sums(**state["sums"])

    def _train_epoch(self) -> None:
        began = time.perf_counter()
        probed: dict[int, list[Step]] = {}
        task_losses: list[Tensor] = []
        distill_losses: list[Tensor] = []
        steps_per_epoch = self.replicates[0].steps_per_epoch
        for log, conduct, step in self._steps():
            task_losses.append(step.task_loss)
            distill_losses.append(step.distill_loss)
            self._sums.weight += step.decision.weight
            self._sums.steps += 1
            if step.step in self.probes:
                probed.setdefault(step.step, []).append(step)
            log.note(step, steps_per_epoch)
            conduct.note(step)
        for conduct in self._conducts:
            conduct.end_epoch()
        for _, same in sorted(probed.items()):
            self._trace(same)
        self._sums.task_loss += float(torch.stack(task_losses).sum())
        self._sums.distill_loss += float(torch.stack(distill_losses).sum())
        self._sums.seconds += time.perf_counter() - began

    def _steps(self) -> Iterator[tuple[DecisionLog, ConductLog, Step]]:
        """Train an epoch, yielding each step with the logs of its replicate; a replicate's steps come in order."""
        if not self.stacked:
            for log, conduct, replicate in zip(self.logs, self._conducts, self.replicates, strict=True):
                for step in replicate.train_epoch(self.probes):
                    yield log, conduct, step
            return
        if self._together is None:
            self._together = Together(self.replicates)
        for steps in self._together.train_epoch(self.probes):
            yield from zip(self.logs, self._conducts, steps, strict=True)
        if self.done:
            self._together.release()
            self._together = None

    def _evaluate(self) -> EpochRecord:
        began = time.perf_counter()
        evaluations = [replicate.evaluate() for replicate in self.replicates]
        if self.done:
            self.results = [
                _result(replicate, evaluation, conduct.conduct())
                for replicate, evaluation, conduct in zip(self.replicates, evaluations, self._conducts, strict=True)
            ]
        sums, self._sums = self._sums, _Sums()
        record = EpochRecord(
            epoch=self.replicates[0].epoch,
            train_task_loss=sums.task_loss / sums.steps,
            train_distill_loss=sums.distill_loss / sums.steps,
            validation_loss=mean_of(e.scores.loss for e in evaluations),
            validation_accuracy=mean_of(e.scores.accuracy for e in evaluations),
            agreement=mean_of(e.scores.agreement for e in evaluations),
            calibration_error=mean_of(e.scores.calibration_error for e in evaluations),
            more={
                name: statistics.fmean(e.scores.more[name] for e in evaluations) for name in evaluations[0].scores.more
            },
            own_kpis={
                name: statistics.fmean(e.own_kpis[name] for e in evaluations) for name in evaluations[0].own_kpis
            },
            weight=sums.weight / sums.steps,
            seconds=sums.seconds + time.perf_counter() - began,
        )
        self.records_so_far.append(record)
        return record

    def _trace(self, same: list[Step]) -> None:
        number = same[0].step
        epoch = number / self.replicates[0].steps_per_epoch
        probed = [ProbedStep.of(step) for step in same]
        self.trace.append(trace_point(number, epoch, probed))
        if self._watch is not None:
            for replicate, one in zip(self.replicates, probed, strict=True):
                self._watch(replicate.seed, trace_point(number, epoch, [one]))


def _result(replicate: Replicate, evaluation: Evaluation, conduct: Conduct | None) -> ReplicateResult:
    return ReplicateResult(
        seed=replicate.seed,
        validation_accuracy=evaluation.scores.accuracy,
        validation_loss=evaluation.scores.loss,
        agreement=evaluation.scores.agreement,
        calibration_error=evaluation.scores.calibration_error,
        more=evaluation.scores.more,
        own_kpis=evaluation.own_kpis,
        conduct=conduct,
    )
