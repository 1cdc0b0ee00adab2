"""A task's samples as its trainings read them, and trainings on them."""

import math

import torch

from trainables.config import DeviceSettings, ModelSettings, PolicySettings, TrainingSettings, TrialSettings
from trainables.device import select_compute
from trainables.tasks import TaskAssets, create_task, create_teacher, outputs_of_teacher, pack_teacher, read_sets
from trainables.training import Distillation, TaskData

CPU = select_compute(DeviceSettings(device="cpu"))
TRAINING = TrainingSettings(epochs=4, batch_size=40, optimizer="adam", learning_rate=3e-2, weight_decay=0.0)


def data_of(task):
    created = create_task(task)
    train, validation, _ = read_sets(task, created)
    with torch.random.fork_rng():
        teacher = create_teacher(task, created, CPU.device)
    train_targets, validation_targets = (
        outputs_of_teacher(task, created, teacher, name, samples, CPU.device)
        for name, samples in (("train", train), ("validation", validation))
    )
    return TaskData(
        TaskAssets(
            task=task,
            train=train,
            validation=validation,
            train_targets=train_targets,
            validation_targets=validation_targets,
            classes=("0", "1"),
            teacher_accuracy=math.nan,
            teacher=pack_teacher(task, teacher) if created.changes_inputs() else None,
        ),
        CPU,
    )


def trained(task, policy="fixed", data=None, **changes):
    values = {
        "student": ModelSettings(name=task.origin, options=task.options),
        "training": TRAINING,
        "policy": PolicySettings(family=policy),
        "seeds": (3, 5),
        "evaluations": 2,
        "trace_points": 5,
    }
    distillation = Distillation(TrialSettings(**{**values, **changes}), data or data_of(task))
    for _ in distillation.records():
        distillation.check_losses()
    distillation.check_scores()
    return distillation


def weights(distillation):
    return [p.detach() for replicate in distillation.replicates for p in replicate.student.parameters()]
