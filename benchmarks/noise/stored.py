"""Keeps the readings of trainings, so that they can be judged anew without training again."""

from __future__ import annotations

import pathlib

import numpy as np

from noise.trainings import Course, Task, train


def course(task: Task, wrong: float, batch: int, seed: int, folder: pathlib.Path | None) -> Course:
    """Return the readings of one training: those in the folder if it has them, else new ones, which it then keeps.

    Files are named by the task, the share of wrong labels, the batch and the seed alone. So a folder belongs to one
    pair of students.
    """
    if folder is None:
        return train(task, wrong, batch, seed)
    file = folder / f"{task.name}-{wrong:g}-{batch}-{seed}.npz"
    if not file.exists():
        found = train(task, wrong, batch, seed)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(file, whole=found.whole, right=found.right, checkpoints=found.checkpoints, **found.ways)
    with np.load(file) as arrays:
        others = {name: arrays[name] for name in ("whole", "right", "checkpoints")}
        return Course(ways={name: arrays[name] for name in arrays.files if name not in others}, **others)
