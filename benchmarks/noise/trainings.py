"""Trains a student, and reads the two gradients of every batch, and now and then those of the whole training set.

S: steps; R: checkpoints; P: parameters. A geometry is (‖g_d‖², ‖g_t‖², ⟨g_d, g_t⟩), as in `policies.geometry`.
"""

from __future__ import annotations

import copy
import functools
import pathlib
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scaffold
import torch
from torch import Tensor, nn

from policies.update.logits import LogitPair
from policies.update.meter import last_block
from policies.update.objective import Gradients
from search.prepare import prepare
from search.records import Listener
from search.settings import Launch, load_config
from trainables.config import ModelSettings, TrainingSettings
from trainables.models import create_model
from trainables.pictures import as_tensor, normalise
from trainables.tasks import TaskAssets
from trainables.training import create_optimizer, create_schedule

TEMPERATURE = 4.0
WEIGHT = 0.5
"""λ of every training; no rule that is judged here steers it."""
STEPS = 400
EVERY = 7
"""Steps between two checkpoints. It shares no factor with the 10 and the 3 steps between measurements, so that the
checkpoints meet every age of a reading."""
TABLE = pathlib.Path(__file__).parents[2] / "examples" / "table.toml"

Geometries = npt.NDArray[np.float64]


class Task(NamedTuple):
    """The training set of a task, its teacher's outputs, and how its student is made and trained."""

    name: str
    inputs: Tensor
    labels: Tensor
    targets: Tensor
    student: Callable[[], nn.Module]
    training: TrainingSettings


class Course(NamedTuple):
    """The geometries of one training: by way those of each batch [S, 3], and those of the whole set [R, 3].

    `right` are those of the whole set with the right labels.
    """

    ways: dict[str, Geometries]
    whole: Geometries
    right: Geometries
    checkpoints: npt.NDArray[np.int64]


def digits(cache: pathlib.Path, student: ModelSettings) -> Task:
    """Return 800 pictures of handwritten digits, taught by a convolutional network."""
    config = load_config("digits-quick", ["device.device=cpu", "data.train_size=800"])
    _, _, assets = scaffold.prepare(config, cache)
    images = normalise(as_tensor(assets.train.images), torch.tensor(assets.mean), torch.tensor(assets.std))
    return Task(
        "digits",
        images,
        torch.tensor(assets.train.labels).long(),
        torch.tensor(assets.train_targets[0]).float(),
        functools.partial(create_model, student, image_shape=assets.image_shape, classes=len(assets.classes)),
        TrainingSettings(optimizer="adamw", learning_rate=1e-2, weight_decay=1e-2, schedule="one_cycle"),
    )


def visits(cache: pathlib.Path, student: ModelSettings) -> Task:
    """Return the people of `examples/table.py`, taught by boosted trees."""
    config = load_config(str(TABLE), ["device.device=cpu"])
    launch = Launch.on_this_machine(pathlib.Path("runs"), cache, "benchmark")
    assets = prepare(config, launch, Listener(), threading.Event()).assets
    assert isinstance(assets, TaskAssets)
    inputs, labels, targets = (
        torch.tensor(np.asarray(part)) for part in (assets.train.inputs, assets.train.labels, assets.train_targets)
    )
    shape, classes = (1, 1, inputs.shape[1]), targets.shape[1]
    make = functools.partial(create_model, student, image_shape=shape, classes=classes)
    return Task("visits", inputs, labels, targets.float(), make, config.training)


def train(task: Task, wrong: float, batch: int, seed: int, steps: int = STEPS) -> Course:
    """Train one student, with a share of wrong labels, and read its gradients in every way.

    Args:
        task: what it learns.
        wrong: the share of the labels that are replaced by another class, drawn evenly.
        batch: samples of a batch, an even number.
        seed: draws the wrong labels, the student and the batches.
        steps: of the training.
    """
    torch.manual_seed(seed)
    labels = with_wrong_labels(task.labels, wrong, task.targets.shape[1])
    student = task.student().train()
    optimizer = create_optimizer(student.parameters(), task.training)
    schedule = create_schedule(optimizer, task.training, steps)
    ways: dict[str, list[list[float]]] = {}
    whole, right, checkpoints = [], [], []
    for step, rows in zip(range(steps), _rows(len(labels), batch), strict=False):
        if step % EVERY == EVERY - 1:
            checkpoints.append(step)
            whole.append(of_everything(student, task, labels))
            right.append(of_everything(student, task, task.labels) if wrong else whole[-1])
        objective = LogitPair(student(task.inputs[rows]), task.targets[rows], labels[rows], temperature=TEMPERATURE)
        for way, geometry in read(objective, student):
            ways.setdefault(way, []).append(geometry)
        optimizer.zero_grad(set_to_none=True)
        objective.backward(WEIGHT, 1.0 - WEIGHT)
        optimizer.step()
        schedule.step()
    arrays = {way: np.array(each) for way, each in ways.items()}
    return Course(arrays, np.array(whole), np.array(right), np.array(checkpoints))


def with_wrong_labels(labels: Tensor, share: float, classes: int) -> Tensor:
    """Return labels of which a share is replaced by another class."""
    chosen = torch.randperm(len(labels))[: round(share * len(labels))]
    found = labels.clone()
    found[chosen] = (labels[chosen] + torch.randint(1, classes, (len(chosen),))) % classes
    return found


def read(objective: LogitPair, student: nn.Module) -> Iterator[tuple[str, list[float]]]:
    """Yield the geometry of one batch in every way.

    Four gradients of two halves give them all, since the batch's gradient is their mean. `halves` has the unbiased
    inner product of `policies.update.meter.pair`; `unbiased` estimates the squared norms likewise, by ⟨g(A), g(B)⟩, so
    that they may be negative.
    """
    for name, parameters in (("full", list(student.parameters())), ("last block", last_block(student))):
        (distill_a, task_a), (distill_b, task_b) = objective.gradients_of_halves(parameters, retain=True)
        four = torch.stack([_flat(g) for g in (distill_a, distill_b, task_a, task_b)]).double()
        products = (four @ four.T).tolist()
        distill_sq, task_sq, inner = (
            0.25 * sum(products[i][j] for i in one for j in other)
            for one, other in (((0, 1), (0, 1)), ((2, 3), (2, 3)), ((0, 1), (2, 3)))
        )
        unbiased = 0.5 * (products[0][3] + products[1][2])
        yield name, [distill_sq, task_sq, inner]
        yield f"{name}, halves", [distill_sq, task_sq, unbiased]
        yield f"{name}, unbiased", [products[0][1], products[2][3], unbiased]
    yield "logit", objective.output_geometry().tolist()


def of_everything(student: nn.Module, task: Task, labels: Tensor) -> list[float]:
    """Return the full tier's geometry over the whole training set. The student keeps its statistics."""
    twin = copy.deepcopy(student)
    objective = LogitPair(twin(task.inputs), task.targets, labels, temperature=TEMPERATURE)
    distill, own = (_flat(g).double() for g in objective.gradients(list(twin.parameters())))
    return [float(distill @ distill), float(own @ own), float(distill @ own)]


def _flat(gradients: Gradients) -> Tensor:
    return torch.cat([g.flatten() for g in gradients if g is not None])


def _rows(count: int, batch: int) -> Iterator[Tensor]:
    """Yield batches without end, in a new order each epoch; short ones are left out."""
    while True:
        order = torch.randperm(count)
        for start in range(0, count - batch + 1, batch):
            yield order[start : start + batch]
