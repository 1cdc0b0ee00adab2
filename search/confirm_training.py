"""One training of a confirmation, as a Ray task runs it."""

from __future__ import annotations

import io
import time
from typing import NamedTuple

import ray
import torch

from search.confirm_data import Pictures
from search.confirmation import Finalist, SeedResult
from trainables.config import TrialSettings
from trainables.device import select_compute
from trainables.evaluation import evaluate
from trainables.loop import Distillation
from trainables.memory import keep_freed_memory
from trainables.replicate import DeviceAssets
from trainables.suggestion import apply_suggestion


class Trained(NamedTuple):
    """A result, and the student's `state_dict` as `torch.save` writes it."""

    result: SeedResult
    student: bytes


def settings_of(finalist: Finalist, base: TrialSettings, seed: int) -> TrialSettings:
    """A finalist's training under a seed: that of its trial, but evaluated at its end only.

    Steps are probed as in a trial, since a probed step adds its gradients up in another order: under a seed of the
    search the student is that of the trial to the last bit, on a CPU.
    """
    trial = apply_suggestion(base, finalist.suggestion)
    return trial.model_copy(update={"seeds": (seed,), "evaluations": 1})


def train_finalist(finalist: Finalist, seed: int, base: TrialSettings, pictures: Pictures) -> Trained:
    """Train a finalist's student under a seed, and judge it on the validation and test pictures.

    Raises:
        ConfigError: a GPU is asked for where there is none, or a KPI of the user's own fails.
    """
    torch.set_num_threads(base.device.threads or 1)
    compute = select_compute(base.device, gpu_allowed=bool(ray.get_gpu_ids()))
    if compute.device.type == "cpu":
        keep_freed_memory()
    data = DeviceAssets(pictures.assets, compute)
    began = time.time()
    distillation = Distillation(settings_of(finalist, base, seed), data)
    for _ in distillation.records():
        pass
    student, history = distillation.replicates[0].student, distillation.history()
    validation = evaluate(student, data.validation, base.own_kpis)
    test = evaluate(student, data.evaluation_set(pictures.test, pictures.test_targets), base.own_kpis)
    result = SeedResult(
        finalist=finalist.key,
        seed=seed,
        validation=validation.scores,
        test=test.scores,
        seconds=history.training_seconds,
        began=began,
        own_kpis=test.own_kpis,
        validation_kpis=validation.own_kpis,
        trace=history.trace,
        interventions=history.interventions,
        skipped_steps=history.skipped_steps,
    )
    stream = io.BytesIO()
    torch.save({name: value.cpu() for name, value in student.state_dict().items()}, stream)
    del distillation, data, student
    if compute.device.type == "cuda":
        torch.cuda.empty_cache()  # the next training in this process may be another's turn on the card
    return Trained(result, stream.getvalue())
