"""Runs trainings of a confirmation in a Ray task."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import ray
import torch
from torch import nn

from search.prepare import Pictures
from search.records import Finalist, SeedResult
from trainables.config import TrialSettings
from trainables.device import select_compute
from trainables.evaluation import ScoredSet, evaluate
from trainables.functions import FunctionAssets, FunctionPlace, FunctionTraining, Tested, own_metrics
from trainables.memory import keep_freed_memory
from trainables.records import ACCURACY, ReplicateResult, SampleValues, SetScore, TracePoint
from trainables.suggestion import apply_suggestion
from trainables.training import Distillation, TrainingData, data_on_device, scored_set


class Trained(NamedTuple):
    """A result, and the student's `state_dict` as `torch.save` writes it."""

    result: SeedResult
    student: bytes | None
    """None if a training function keeps no student."""
    module: bytes | None = None
    """The student with an example of its inputs, as a training function kept it and `torch.save` writes it."""


def settings_of(finalist: Finalist, base: TrialSettings, seeds: Sequence[int]) -> TrialSettings:
    """Return the settings of a finalist's training under some seeds: its trial's, but evaluated at the end only.

    Steps are probed as in a trial, since a probed step adds its gradients up in another order. So on a CPU, under a
    seed of the search, the student equals that of the trial to the last bit.
    """
    trial = apply_suggestion(base, finalist.suggestion)
    return trial.model_copy(update={"seeds": tuple(seeds), "evaluations": 1})


def train_finalist(
    finalist: Finalist, seeds: Sequence[int], base: TrialSettings, pictures: Pictures
) -> tuple[Trained, ...]:
    """Train a finalist's students, one for each seed, and judge them on the validation and test pictures.

    Raises:
        ConfigError: a GPU is asked for where there is none, or a KPI of the user's own fails.
    """
    torch.set_num_threads(base.device.threads or 1)
    compute = select_compute(base.device, gpu_allowed=bool(ray.get_gpu_ids()))
    if compute.device.type == "cpu":
        keep_freed_memory()
    if isinstance(pictures.assets, FunctionAssets):
        place = FunctionPlace(assets=pictures.assets, compute=compute)
        return train_function(finalist, seeds, base, place, sealed=pictures.sealed)
    assert pictures.test is not None  # only a function opens its own
    data = data_on_device(pictures.assets, compute)
    test = scored_set(data, pictures.test, pictures.test_targets)
    trained = train_seeds(finalist, seeds, base, data, test)
    del data, test
    if compute.device.type == "cuda":
        torch.cuda.empty_cache()  # the card may be another process's turn next
    return trained


def train_seeds(
    finalist: Finalist, seeds: Sequence[int], base: TrialSettings, data: TrainingData, test: ScoredSet
) -> tuple[Trained, ...]:
    """Train and judge as `train_finalist` does, on pictures that lie on the device.

    On a CPU a student and its scores equal those of training its seed alone, to the last bit.
    """
    began = time.time()
    traces: dict[int, list[TracePoint]] = {seed: [] for seed in seeds}
    distillation = Distillation(
        settings_of(finalist, base, seeds), data, watch=lambda seed, point: traces[seed].append(point)
    )
    judged = distillation.data.judging(test)
    for _ in distillation.records():
        pass
    part = distillation.history().training_seconds / len(seeds)
    trained = []
    for turn, (replicate, ended) in enumerate(zip(distillation.replicates, distillation.results, strict=True)):
        tested = evaluate(replicate.student, judged, base.own_kpis, by_sample=True)
        result = SeedResult(
            finalist=finalist.key,
            seed=replicate.seed,
            validation=_scores(ended),
            test=tested.scores,
            seconds=part,
            began=began + turn * part,
            own_kpis=tested.own_kpis,
            validation_kpis=ended.own_kpis,
            samples=dict(tested.samples),
            trace=tuple(traces[replicate.seed]),
            interventions=replicate.interventions,
            skipped_steps=replicate.skipped_steps,
            conduct=ended.conduct,
        )
        trained.append(Trained(result, _stored(replicate.student)))
    return tuple(trained)


def train_function(
    finalist: Finalist, seeds: Sequence[int], base: TrialSettings, place: FunctionPlace, *, sealed: bool = False
) -> tuple[Trained, ...]:
    """Train and judge as `train_finalist` does, by a user's function.

    With `sealed`, the function's test set stays closed, and its last report on the validation set takes its place.

    Raises:
        KDPolicySearchError: the function fails, or does not judge its student on the test set.
    """
    traces: dict[int, list[TracePoint]] = {seed: [] for seed in seeds}
    began = time.time()
    training = FunctionTraining(
        settings_of(finalist, base, seeds),
        place,
        watch=lambda seed, point: traces[seed].append(point),
        confirming=not sealed,
    )
    try:
        for _ in training.records():
            pass
        training.check_scores()
    finally:
        training.close()
    trained = []
    for notes, ended in zip(training.ended, training.results, strict=True):
        tested = notes.tested
        assert sealed or tested is not None  # the training has checked it
        seconds = sum(report.seconds for report in notes.reports)
        result = SeedResult(
            finalist=finalist.key,
            seed=notes.seed,
            validation=_scores(ended),
            test=_scores(ended) if tested is None else _tested(tested),
            seconds=seconds,
            began=began,
            own_kpis=ended.own_kpis if tested is None else own_metrics(tested.metrics, base.objective.name),
            validation_kpis=ended.own_kpis,
            samples={
                name: SampleValues.of(values.samples)
                for name, values in ({} if tested is None else tested.samples).items()
                if values.samples is not None
            },
            test_ids="" if tested is None else tested.ids,
            student_kept=notes.student is not None,
            trace=tuple(traces[notes.seed]),
            interventions=notes.interventions,
            skipped_steps=notes.skipped,
            conduct=ended.conduct,
        )
        began += seconds
        kept = notes.student
        student = None if kept is None else _as_bytes(kept.state)
        trained.append(Trained(result, student, None if kept is None else kept.module))
    return tuple(trained)


def _tested(tested: Tested) -> SetScore:
    return SetScore(
        accuracy=tested.metrics.get(ACCURACY),
        loss=tested.metrics.get("loss"),
        calibration_error=None,
        agreement=None,
    )


def _scores(ended: ReplicateResult) -> SetScore:
    """Return the scores on the validation pictures, where every student is judged when its training ends."""
    return SetScore(
        accuracy=ended.validation_accuracy,
        loss=ended.validation_loss,
        calibration_error=ended.calibration_error,
        more=ended.more,
        agreement=ended.agreement,
    )


def _stored(student: nn.Module) -> bytes:
    return _as_bytes({name: value.cpu() for name, value in student.state_dict().items()})


def _as_bytes(content: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()
