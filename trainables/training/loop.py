"""Trains one trial: its replicates side by side, as a generator of records.

The loop uses no Ray, no MLflow and no files. Its caller (a Tune trial, a test, a notebook) consumes its records and
stores its state.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from policies.balancer import Step
from policies.document import policy_document
from policies.geometric import log_ratio
from trainables.config import TrialSettings
from trainables.errors import ModelError
from trainables.evaluation import Evaluation
from trainables.records import (
    Conduct,
    DecisionEntry,
    EpochRecord,
    ReplicateResult,
    TracePoint,
    TrialHistory,
    join_conducts,
)
from trainables.training.conduct_log import ConductLog
from trainables.training.data import TrainingData
from trainables.training.decision_log import MOST_ENTRIES, DecisionLog, LogContext
from trainables.training.replicate import Replicate
from trainables.training.stacking import trains_stacked
from trainables.training.together import Together


def spread_evenly(count: int, points: int) -> list[int]:
    """Return `points` integers from 0 to count - 1, evenly spread, both ends included (fewer if `count` is smaller)."""
    return sorted({int(x) for x in np.linspace(0, count - 1, min(points, count)).round()})


@dataclasses.dataclass
class _Sums:
    """Sums over the steps of all replicates since the last evaluation."""

    task_loss: float = 0.0
    distill_loss: float = 0.0
    weight: float = 0.0
    steps: int = 0
    seconds: float = 0.0


class Distillation:
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
        self.stacked = trains_stacked(settings.student, settings.device)
        """True if the replicates train as one stacked model, and not one after another."""
        self._together: Together | None = None
        kept = MOST_ENTRIES // len(settings.seeds)
        self.logs = [DecisionLog(seed, kept) for seed in settings.seeds]
        self._conducts = [ConductLog(first.total_steps) for _ in settings.seeds]
        self.results: list[ReplicateResult] = []
        self._sums = _Sums()

    @property
    def done(self) -> bool:
        """True if every replicate has seen every epoch."""
        return self.replicates[0].epoch >= self.epochs

    def records(self) -> Iterator[EpochRecord | None]:
        """Continue the training, yielding after each epoch: a record if it was evaluated, else None.

        At a yield the state may be stored and loaded elsewhere. On a CPU the rest is then equal to the last bit.
        """
        while not self.done:
            self._train_epoch()
            yield self._evaluate() if self.replicates[0].epoch in self.evaluated_epochs else None

    def history(self) -> TrialHistory:
        """Return the history so far; with a score once the training is done, if all of its students have one."""
        told = self.done and not self._without_score
        scores = [self.settings.objective.score_of(r) for r in self.results] if told else []
        balancer = self.replicates[0].balancer
        return TrialHistory(
            score=statistics.fmean(scores) if scores else None,
            score_std=statistics.stdev(scores) if len(scores) > 1 else None,
            epochs=tuple(self.records_so_far),
            trace=tuple(self.trace),
            decisions=len(self.decisions),
            decisions_dropped=sum(log.dropped for log in self.logs),
            interventions=self._interventions(),
            skipped_steps=sum(replicate.skipped_steps for replicate in self.replicates),
            conduct=join_conducts([log.conduct() for log in self._conducts]),
            replicates=tuple(self.results),
            policy=policy_document(
                balancer.policy,
                temperature=self.settings.temperature,
                training=self.settings.training.in_effect(self.data.own_optimizer),
                **({"options": self.settings.options} if self.settings.options else {}),
            ),
            parameters=sum(p.numel() for p in balancer.parameters),
            training_seconds=sum(r.seconds for r in self.records_so_far),
            device=self.data.compute.describe(),
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
        elif self.done and not all(replicate.is_finite for replicate in self.replicates):
            epoch, problem = self.epochs, "some of its parameters are not"
        else:
            return
        lost = [replicate.seed for replicate in self.replicates if not replicate.is_finite]
        seeds = f" (seed {', '.join(map(str, lost))})" if lost else ""
        policy = self.replicates[0].balancer.policy
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
                f" seed {', '.join(map(str, bad))}; let the KPI return a number there, too."
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
        first = self.replicates[0]
        return LogContext(
            policy=policy_document(first.balancer.policy, temperature=self.settings.temperature),
            seeds=self.settings.seeds,
            steps=first.balancer.step,
            total_steps=first.total_steps,
            dropped=sum(log.dropped for log in self.logs),
        )

    def _interventions(self) -> dict[str, int]:
        counts: Counter[str] = Counter()
        for replicate in self.replicates:
            counts.update(replicate.interventions)
        return dict(counts)

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
            validation_loss=statistics.fmean(e.scores.loss for e in evaluations),
            validation_accuracy=_mean(e.scores.accuracy for e in evaluations),
            agreement=_mean(e.scores.agreement for e in evaluations),
            calibration_error=_mean(e.scores.calibration_error for e in evaluations),
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
        self.trace.append(self._trace_point(same))
        if self._watch is not None:
            for replicate, step in zip(self.replicates, same, strict=True):
                self._watch(replicate.seed, self._trace_point([step]))

    def _trace_point(self, same: list[Step]) -> TracePoint:
        """Average one probed step over the replicates, and give the ranges; ratios are averaged geometrically."""
        geometries = [s.geometry for s in same if s.geometry is not None]
        logs = [log_ratio(g) for g in geometries]
        weights, cosines = [s.decision.weight for s in same], [g.cosine for g in geometries]
        return TracePoint(
            step=same[0].step,
            epoch=same[0].step / self.replicates[0].steps_per_epoch,
            weight=statistics.fmean(weights),
            scale=statistics.fmean(s.decision.scale for s in same),
            cosine=statistics.fmean(cosines),
            norm_ratio=math.exp(statistics.fmean(logs)),
            task_loss=statistics.fmean(float(s.task_loss) for s in same),
            distill_loss=statistics.fmean(float(s.distill_loss) for s in same),
            weight_range=(min(weights), max(weights)),
            cosine_range=(min(cosines), max(cosines)),
        )


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


def _is_sound(result: EpochRecord | ReplicateResult) -> bool:
    """Tell whether the student is sound: a parameter or statistic that is not finite shows in its validation loss."""
    return math.isfinite(result.validation_loss)


def _mean(values: Iterable[float | None]) -> float | None:
    """Return the mean; None if a value is not known."""
    known = list(values)
    return None if None in known else statistics.fmean(value for value in known if value is not None)
