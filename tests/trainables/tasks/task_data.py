"""A task's samples as its trainings read them."""

import math

import torch

from trainables.config import DeviceSettings
from trainables.device import select_compute
from trainables.tasks import StoredOutputs, TaskAssets, create_task, outputs_on, read_sets, stored_outputs
from trainables.training import TaskData

CPU = select_compute(DeviceSettings(device="cpu"))


def data_of(task):
    created = create_task(task)
    train, validation, _ = read_sets(task, created)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        teacher = created.teacher()

    def outputs(name, samples):
        if isinstance(teacher, StoredOutputs):
            return stored_outputs(teacher, name, samples)
        return outputs_on(created, teacher.eval(), samples.inputs, CPU.device)

    return TaskData(
        TaskAssets(
            task=task,
            train=train,
            validation=validation,
            train_targets=outputs("train", train),
            validation_targets=outputs("validation", validation),
            classes=("0", "1"),
            teacher_accuracy=math.nan,
        ),
        CPU,
    )
