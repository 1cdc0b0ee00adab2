"""Checks the contract of a task: `check_task(MyTask())` raises AssertionError at the first broken clause.

Each clause is a function that takes the task, so that a test suite can run them one by one:

    @pytest.mark.parametrize("clause", TASK_CLAUSES, ids=lambda clause: clause.__name__)
    def test_my_task_keeps_the_contract(clause):
        clause(MyTask())

The clauses open the test set, to see that it fits. They evaluate nothing on it.

N: samples of a set; B: samples of a batch.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from policies.contract import Clause, clause, require
from trainables.tasks import (
    IGNORED,
    Task,
    TaskBatch,
    Tree,
    call,
    check_optimizer,
    create_task,
    create_teacher,
    digest_of,
    is_finite,
    leaves,
    map_tree,
    outputs_of_teacher,
    read_sets,
    shapes,
    shared_samples,
    try_out_task,
)
from trainables.testing.subject import TaskSubject, name_of, subject_of, tripwire
from trainables.training import Distillation

TASK_CLAUSES: list[Clause] = []
"""The clauses on tasks, in the order in which they are checked."""

_MOST, _ORDERS = 2000, 20
"""The most samples of a set, and the number of random orders, with which the teacher's outputs are compared."""
_RELATIVE, _ABSOLUTE = 1e-4, 1e-6
"""The largest difference between losses that only the order of the samples may round differently."""


def check_task(task: Task | str) -> None:
    """Check that a task keeps the contract.

    Args:
        task: a task, whose class stands at the top of a file, or `my_task.py:MyTask`.

    Raises:
        AssertionError: a clause is broken; the message says which, and how.
    """
    for checked in TASK_CLAUSES:
        checked(task)


@clause(TASK_CLAUSES, subject_of, name_of)
def sets_are_well_formed(subject: TaskSubject) -> None:
    """All three sets hold finite numbers, with samples of the same types and shapes."""
    train = subject.sets[0]
    for part in ("inputs", "labels"):
        one, other = shapes(getattr(train, part)), shapes(getattr(subject.test, part))
        require(one == other, f"{part} of the test set have types and shapes {other}, those of the training set {one}")
    require(is_finite((subject.test.inputs, subject.test.labels)), "some numbers of the test set are not finite")


@clause(TASK_CLAUSES, subject_of, name_of)
def sets_are_the_same_each_time(subject: TaskSubject) -> None:
    """Two calls of `sets` give the same samples, in the same order."""
    train, validation, sets = read_sets(subject.own, create_task(subject.own))
    for name, one, other in (("training", subject.sets[0], train), ("validation", subject.sets[1], validation)):
        require(one.digest == other.digest, f"the {name} set differs between two calls of `sets`; fix all seeds")
    again = TaskSubject(subject.own)
    again.sets = (train, validation, sets)
    require(again.test.digest == subject.test.digest, "the test set differs between two calls of `sets`; fix all seeds")


@clause(TASK_CLAUSES, subject_of, name_of)
def sets_share_no_sample(subject: TaskSubject) -> None:
    """No two sets have a sample with the same inputs."""
    train, validation, _ = subject.sets
    for names, one, other in (
        ("training and validation", train, validation),
        ("training and test", train, subject.test),
        ("validation and test", validation, subject.test),
    ):
        shared = shared_samples(one, other)
        what = "inputs" if one.ids is None else "ids"
        require(shared == 0, f"{names} set share the {what} of {shared} samples; scores on them are too good")


@clause(TASK_CLAUSES, subject_of, name_of)
def the_test_set_stays_closed(subject: TaskSubject) -> None:
    """A test set that is a function is not called by the methods that a search calls."""
    with tripwire(subject.task):
        subject.sets  # noqa: B018
        call(subject.own, "student", subject.task.student)
        subject.outputs("validation", subject.sets[1])


@clause(TASK_CLAUSES, subject_of, name_of)
def the_student_can_be_trained(subject: TaskSubject) -> None:
    """The student starts from the same weights under a seed, losses have a graph, and metrics are finite numbers."""
    try_out_task(subject.own, subject.task, subject.sets[0])
    metrics = _metrics(subject, subject.student_outputs, subject.batch.labels)
    for name, value in metrics.items():
        finite = bool(torch.as_tensor(value).isfinite().all())
        require(finite, f"the metric {name!r} of an untrained student is not finite")


@clause(TASK_CLAUSES, subject_of, name_of)
def a_loss_belongs_to_its_samples(subject: TaskSubject) -> None:
    """Losses do not depend on the order of a batch, and one value a sample depends on this sample alone."""
    order = torch.arange(len(next(leaves(subject.batch.labels)))).flip(0)
    half = order[: max(1, len(order) // 2)]
    for name, loss in _losses(subject):
        whole = loss(*_rows(subject, slice(None)))
        turned = loss(*_rows(subject, order))
        if whole.ndim == 0:
            require(_close(whole, turned), f"`{name}` changes with the order of the samples")
            continue
        require(_close(whole[order], turned), f"the values of `{name}` are not in the order of the samples")
        alone = loss(*_rows(subject, half))
        message = f"a value of `{name}` depends on other samples of the batch; return their mean, one number"
        require(_close(whole[half], alone), message)


@clause(TASK_CLAUSES, subject_of, name_of)
def masked_positions_do_not_count(subject: TaskSubject) -> None:
    """The loss on the labels does not depend on outputs at positions with the label -100."""
    labels, outputs = subject.batch.labels, subject.student_outputs
    masked = isinstance(labels, Tensor) and isinstance(outputs, Tensor) and outputs.shape[: labels.ndim] == labels.shape
    if not subject.task.has_own_losses() or not masked or not bool((labels == IGNORED).any()):
        return
    changed = torch.where((labels == IGNORED).view(*labels.shape, *[1] * (outputs.ndim - labels.ndim)), 7.0, outputs)
    one, other = (subject.task.task_loss(given, subject.batch) for given in (outputs, changed))
    require(_close(one, other), "`task_loss` depends on outputs at positions with the label -100; leave these out")


@clause(TASK_CLAUSES, subject_of, name_of)
def arguments_stay_unchanged(subject: TaskSubject) -> None:
    """Losses and metrics write to none of their arguments, which are shared between trials."""
    batch, outputs = subject.batch, map_tree(Tensor.clone, subject.student_outputs)
    for name, loss in _losses(subject):
        loss(outputs, map_tree(Tensor.clone, subject.teacher_outputs), batch)
        same = _equal((tuple(batch), outputs), (tuple(subject.batch), subject.student_outputs))
        require(same, f"`{name}` writes to its arguments; let it work on copies")
    _metrics(subject, outputs, batch.labels)
    same = _equal((tuple(batch), outputs), (tuple(subject.batch), subject.student_outputs))
    require(same, "`metrics` writes to its arguments; let it work on copies")


@clause(TASK_CLAUSES, subject_of, name_of)
def metrics_do_not_depend_on_the_order(subject: TaskSubject) -> None:
    """Metrics are the same for samples in another order; one value a sample follows its sample."""
    outputs, labels = subject.student_outputs, subject.batch.labels
    order = torch.arange(len(next(leaves(labels)))).flip(0)
    turned = _metrics(subject, *(map_tree(lambda rows: rows[order], part) for part in (outputs, labels)))
    for name, value in _metrics(subject, outputs, labels).items():
        one, other = torch.as_tensor(value), torch.as_tensor(turned[name])
        require(
            _close(one[order] if one.ndim else one, other), f"the metric {name!r} changes with the order of samples"
        )


@clause(TASK_CLAUSES, subject_of, name_of)
def the_teacher_is_the_same_each_time(subject: TaskSubject) -> None:
    """Two calls of `teacher` give the same outputs."""
    validation = subject.sets[1]
    teacher = create_teacher(subject.own, task := create_task(subject.own), subject.compute.device)
    again = outputs_of_teacher(subject.own, task, teacher, "validation", validation, subject.compute.device)
    same = digest_of(again) == digest_of(subject.outputs("validation", validation))
    require(same, "two calls of `teacher` give other outputs; draw all random numbers from PyTorch's global generator")


@clause(TASK_CLAUSES, subject_of, name_of)
def the_teachers_outputs_belong_to_their_samples(subject: TaskSubject) -> None:
    """The teacher's outputs on each set fit the labels better than outputs of other samples do."""
    train, validation, _ = subject.sets
    for name, samples in (("train", train), ("validation", validation), ("test", subject.test)):
        parts = (subject.outputs(name, samples), samples.inputs, samples.labels)
        outputs, *rest = map_tree(lambda rows: torch.tensor(rows[:_MOST]), parts)
        batch, generator = TaskBatch(*rest), torch.Generator().manual_seed(0)
        own = _mean_loss(subject, outputs, batch)
        orders = [torch.randperm(min(_MOST, len(samples)), generator=generator) for _ in range(_ORDERS)]
        others = min(_mean_loss(subject, map_tree(lambda rows: rows[order], outputs), batch) for order in orders)  # noqa: B023
        require(
            own < others,
            f"the teacher's outputs on the {name} set fit the labels no better (loss {own:.4g}) than outputs of other"
            f" samples do ({others:.4g}); stored ones may be in another order than the set",
        )


@clause(TASK_CLAUSES, subject_of, name_of)
def the_optimizer_resumes(subject: TaskSubject) -> None:
    """An optimiser of the task's own goes on after it was stored and read again, as if nothing had happened."""
    if subject.task.has_own_optimizer():
        check_optimizer(subject.own, subject.task, None)


@clause(TASK_CLAUSES, subject_of, name_of)
def trainings_repeat_themselves(subject: TaskSubject) -> None:
    """Two trainings under one seed give the same student to the last bit, also if one is stopped and resumed."""
    whole, again, resumed = subject.training(), subject.training(), subject.training()
    for training in (whole, again):
        for _ in training.records():
            pass
        training.check_losses()
    require(_same_weights(whole, again), "two trainings under one seed give other students; draw all random numbers"
            " from PyTorch's global generator")  # fmt: skip
    half = subject.training()
    next(half.records())
    stream = io.BytesIO()
    torch.save(half.state_dict(), stream)
    stream.seek(0)
    resumed.load_state_dict(torch.load(stream, weights_only=True))
    for _ in resumed.records():
        pass
    require(_same_weights(whole, resumed), "a training that is stopped and resumed gives another student")


def _losses(subject: TaskSubject) -> list[tuple[str, Callable[[Tree, Tree, TaskBatch], Tensor]]]:
    """Return the task's own losses by name, each of student's outputs, teacher's outputs and batch; none without."""
    task = subject.task
    if not task.has_own_losses():
        return []
    return [
        ("task_loss", lambda outputs, _, batch: task.task_loss(outputs, batch)),
        ("distill_loss", lambda outputs, answers, batch: task.distill_loss(outputs, answers, batch, 2.0)),
    ]


def _mean_loss(subject: TaskSubject, outputs: Tree, batch: TaskBatch) -> float:
    """Return the mean loss on the labels: the task's own, or cross entropy."""
    if subject.task.has_own_losses():
        return float(subject.task.task_loss(outputs, batch).double().mean())
    logits = subject.task.logits(outputs)
    return float(nn.functional.cross_entropy(logits.flatten(0, -2), batch.labels.flatten(), ignore_index=IGNORED))


def _rows(subject: TaskSubject, places: Any) -> tuple[Tree, Tree, TaskBatch]:
    """Return outputs of student and teacher, and the batch, at some places."""
    parts = (subject.student_outputs, subject.teacher_outputs, tuple(subject.batch))
    outputs, answers, batch = map_tree(lambda rows: rows[places], parts)
    return outputs, answers, TaskBatch(*batch)


def _metrics(subject: TaskSubject, outputs: Tree, labels: Tree) -> dict[str, Any]:
    with torch.no_grad():
        return dict(call(subject.own, "metrics", lambda: subject.task.metrics(outputs, labels)))


def _close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True)


def _equal(one: Tree, other: Tree) -> bool:
    return all(torch.equal(a, b) for a, b in zip(leaves(one), leaves(other), strict=True))


def _same_weights(one: Distillation, other: Distillation) -> bool:
    states = (one.replicates[0].student.state_dict(), other.replicates[0].student.state_dict())
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())
