"""Prepares a search of a user's own task: its sets, its teacher's outputs, and checks of both."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable

import numpy as np
from torch import nn

from policies.errors import nearest
from policies.policy import Given
from search.metrics import METRICS
from search.prepare.families import refuse_rules_on_more
from search.prepare.foundation import Foundation
from search.prepare.ground import Ground, Pictures
from search.prepare.options import digest_of_sets, searched_options, try_searched
from search.prepare.prepared import TEACHER_STAGE, Prepared, in_cluster
from search.records import Listener, PictureCounts
from search.settings import SearchConfig, check_gate_names, ends
from trainables.config import REPLACED, OwnTask, TrainingSettings
from trainables.device import select_compute
from trainables.errors import ConfigError, ModelError
from trainables.evaluation import accuracy_of, labelled
from trainables.models import check_batch_of_one
from trainables.pictures import as_tensor
from trainables.records import ACCURACY
from trainables.tasks import (
    IGNORED,
    Samples,
    Sets,
    Task,
    TaskAssets,
    TaskNetwork,
    TaskTeacher,
    Tree,
    TriedOut,
    call,
    check_disjoint,
    check_logits,
    check_optimizer,
    create_task,
    create_teacher,
    digest_of,
    example_of,
    is_masked,
    map_tree,
    options_read,
    outputs_of_teacher,
    pack_teacher,
    read_sets,
    samples_of,
    shared_samples,
    try_out_task,
)
from trainables.teacher import TeacherProgress, output_precision
from trainables.training import Corruption


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadedTask:
    """A task whose sets were read and whose methods were tried once. Its test set is still closed."""

    own: OwnTask
    task: Task
    """Created from `own`. It cannot be sent to another process, since its class is in no importable module."""
    train: Samples
    validation: Samples
    sets: Sets
    logits: int
    """The number of the student's logits; 0 if the task is no classification."""


def load_task(config: SearchConfig, listener: Listener) -> LoadedTask:
    """Read a task's training and validation set, and try its students, losses and metrics on a few samples.

    Raises:
        KDPolicySearchError: something fails or does not fit.
    """
    own = config.task
    assert own is not None
    listener.stage(f"loading {own.origin}")
    task, searched = create_task(own), searched_options(config)
    searched.check_values()
    with options_read(task) as read:
        train, validation, sets = read_sets(own, task)
    searched.check_unchanged(read, "sets", lambda other: digest_of_sets(*read_sets(own, other)[:2]))
    tried: list[TriedOut] = []
    for name, settings in config.students.items():
        student_task = create_task(own, **settings.options)
        tried.append(try_out_task(own, student_task, train, section=config.student_sections[name]))
        if min(config.training.batch_size, len(train)) == 1:
            network = TaskNetwork(student_task)
            section = config.student_sections[name]
            check_batch_of_one(network, example_of(train), section=section, training="training")
        for warning in try_searched(searched, settings.options, train):
            listener.stage(warning)
    _check_objective(config, task, tried[-1].metrics)
    always = [metric.name for metric in METRICS] if task.classification else ["loss"]
    check_gate_names(config.gates, (*always, *tried[-1].metrics, *(kpi.name for kpi in config.kpis)))
    _check_optimizer(config, task)
    _check_families(config, {one.given for one in tried})
    loaded = LoadedTask(own=own, task=task, train=train, validation=validation, sets=sets, logits=tried[-1].logits)
    listener.stage(counts_of(loaded).in_words)
    if task.changes_inputs():
        listener.stage("inputs change from step to step, so the teacher is asked at every step")
    shared = shared_samples(train, validation)
    if shared:
        listener.stage(
            f"warning: {shared:,} of {len(validation):,} validation {task.unit} have the same inputs as training"
            f" {task.unit}; scores on them are too good"
        )
    if loaded.logits and (absent := _absent_classes(train, validation)):
        listener.stage(f"the validation set has no {task.unit} of {absent}, so it does not judge how well it is known")
    if config.corruption is not None:
        Corruption(config.corruption, pictures=len(train), batch_size=config.training.batch_size, seed=config.seed)
    return loaded


def _absent_classes(train: Samples, validation: Samples) -> str:
    """Return in words the classes that are trained but not validated, where a sample's label is one class."""
    there, judged = train.labels, validation.labels
    if not isinstance(there, np.ndarray) or not isinstance(judged, np.ndarray) or there.ndim != 1:
        return ""
    absent = np.setdiff1d(there[there >= 0], judged).tolist()
    return f"{'class' if len(absent) == 1 else 'the classes'} {', '.join(map(str, absent))}" if absent else ""


def _check_objective(config: SearchConfig, task: Task, metrics: set[str]) -> None:
    known = [*([ACCURACY] if task.classification else []), *sorted(metrics), *(kpi.name for kpi in config.kpis)]
    if config.objective not in known:
        raise ConfigError(
            f"`objective` must be one of {', '.join(known)}, but got {config.objective!r}; a task's own are the names"
            f" that its `metrics` returns.{nearest(config.objective, known)}"
        )


def _check_families(config: SearchConfig, given: set[Given]) -> None:
    """Raise ConfigError if a family looks at more than the losses of the task show with every student."""
    name = config.student.name
    if "losses" in given:
        refuse_rules_on_more(
            config,
            "losses",
            f"the losses of the task {name} are one value a batch, or some of its outputs have no row a sample; let"
            " `task_loss` and `distill_loss` return one value a sample, [B], or write",
        )
    elif "outputs" in given:
        refuse_rules_on_more(config, "outputs", f"the task {name} has losses of its own; write")


def _check_optimizer(config: SearchConfig, task: Task) -> None:
    """Check a task's own optimiser, and that no setting is given that it replaces.

    Raises:
        ConfigError: it fails or does not resume, or a setting would have no effect.
    """
    own = config.task
    if own is None or not task.has_own_optimizer():
        return
    usual = TrainingSettings()
    for name in REPLACED:
        if getattr(config.training, name) != getattr(usual, name):
            raise ConfigError(
                f"`training.{name}` has no effect, since the task {config.student.name} defines `optimizer`; remove it,"
                " or set it there."
            )
    domain = config.space.learning_rate
    rates = () if domain is None else [float(end) for end in ends(domain)]
    check_optimizer(own, task, (min(rates), max(rates)) if len(set(rates)) > 1 else None)


def counts_of(loaded: LoadedTask) -> PictureCounts:
    """Count the samples of a task's sets, without opening the test set."""
    labels, largest = loaded.validation.labels, 0.0
    if loaded.task.classification:
        counted = labels[labels != IGNORED]
        largest = float(np.bincount(counted).max() / len(counted))
    shape = loaded.train.inputs.shape[1:] if hasattr(loaded.train.inputs, "shape") else ()
    return PictureCounts(
        train=len(loaded.train),
        pool=len(loaded.train),
        validation=len(loaded.validation),
        test=None,
        classes=loaded.logits,
        shape=tuple(shape),
        largest_share=largest,
        unit=loaded.task.unit,
        own_losses=loaded.task.has_own_losses(),
        own_optimizer=f"{loaded.own.origin}.optimizer" if loaded.task.has_own_optimizer() else "",
    )


def prepare_task(config: SearchConfig, loaded: LoadedTask) -> Prepared:
    """Compute a teacher's outputs on a task's samples in this process."""
    assets, teacher, foundation = _taught(config, loaded)
    parameters = 0
    if isinstance(teacher, nn.Module):
        parameters = sum(parameter.numel() for parameter in teacher.parameters())
    return Prepared(assets, parameters, foundation, counts_of(loaded))


def prepare_task_elsewhere(config: SearchConfig, listener: Listener, *, gpus: float) -> Prepared:
    """Read a task's sets and compute its teacher's outputs in a Ray task with a share of a GPU."""
    return in_cluster(functools.partial(_prepare_there, config), listener, gpus=gpus, stage=TEACHER_STAGE)


def _prepare_there(config: SearchConfig, _news: Callable[[TeacherProgress], None]) -> Prepared:
    prepared = prepare_task(config, load_task(config, Listener()))
    assert isinstance(prepared.assets, TaskAssets)
    return dataclasses.replace(prepared, assets=prepared.assets.in_memory())


def task_ground_elsewhere(config: SearchConfig, listener: Listener, *, gpus: float) -> Ground:
    """Do as `task_ground` in a Ray task with a share of a GPU; the teacher itself stays there."""
    return in_cluster(functools.partial(_ground_there, config), listener, gpus=gpus, stage=TEACHER_STAGE)


def _ground_there(config: SearchConfig, _news: Callable[[TeacherProgress], None]) -> Ground:
    return dataclasses.replace(without_maps(task_ground(config, load_task(config, Listener()))), teacher=None)


def task_ground(config: SearchConfig, loaded: LoadedTask) -> Ground:
    """Open a task's test set, and compute its teacher's outputs on all three sets.

    Raises:
        KDPolicySearchError: there is no test set, or it does not fit.
    """
    own, given = loaded.own, loaded.sets.test
    ids = loaded.sets.ids
    test = call(own, "sets", lambda: samples_of(given() if callable(given) else given, "test", ids))
    for name in ("train", "validation"):
        check_disjoint(getattr(loaded, name).ids, test.ids, (name, "test"))
    assets, teacher, foundation = _taught(config, loaded)
    outputs = outputs_of_teacher(own, loaded.task, teacher, "test", test, select_compute(config.device).device)
    return Ground(
        pictures=Pictures(assets=assets, test=dataclasses.replace(test, ids=None), test_targets=outputs),
        teacher=teacher.cpu() if isinstance(teacher, nn.Module) else None,
        foundation=foundation,
        test_digest=test.digest,
    )


def without_maps(ground: Ground) -> Ground:
    """Return the same without memory-mapped parts, for nodes that do not see the files."""
    assets = ground.pictures.assets
    assert isinstance(assets, TaskAssets)
    return dataclasses.replace(ground, pictures=dataclasses.replace(ground.pictures, assets=assets.in_memory()))


def _taught(config: SearchConfig, loaded: LoadedTask) -> tuple[TaskAssets, TaskTeacher, Foundation]:
    own, task, device = loaded.own, loaded.task, select_compute(config.device).device

    def outputs(of: Task, teacher: TaskTeacher, name: str) -> Tree:
        return outputs_of_teacher(own, of, teacher, name, getattr(loaded, name), device)

    with options_read(task) as read:
        teacher = create_teacher(own, task, device)
        targets = {name: outputs(task, teacher, name) for name in ("train", "validation")}
    searched_options(config).check_unchanged(
        read, "teacher", lambda other: digest_of(outputs(other, create_teacher(own, other, device), "validation"))
    )
    accuracy = None
    if task.classification:
        answers = map_tree(as_tensor, targets["validation"])
        logits = task.logits(answers)
        labels = as_tensor(loaded.validation.labels)
        check_logits(own, logits, labels, "teacher")
        if logits.shape[-1] != loaded.logits:
            raise ModelError(
                f"student and teacher of the task {own.origin} must give the same number of logits, but the student"
                f" gives {loaded.logits} and the teacher {logits.shape[-1]}."
            )
        accuracy = accuracy_of(*labelled(task, answers, labels, answers, masked=is_masked(labels))[:2])
    assets = TaskAssets(
        task=own,
        train=dataclasses.replace(loaded.train, ids=None),
        validation=dataclasses.replace(loaded.validation, ids=None),
        train_targets=targets["train"],
        validation_targets=targets["validation"],
        classes=_class_names(loaded),
        teacher_accuracy=accuracy,
        teacher=pack_teacher(own, teacher) if task.changes_inputs() and isinstance(teacher, nn.Module) else None,
    )
    data = hashlib.sha256(digest_of_sets(loaded.train, loaded.validation).encode())
    if config.corruption is not None:
        data.update(config.corruption.model_dump_json().encode())
    foundation = Foundation(
        data=data.hexdigest(),
        teacher=digest_of(targets),
        precision=output_precision(device.type),
        earlier="",
    )
    return assets, teacher, foundation


def _class_names(loaded: LoadedTask) -> tuple[str, ...]:
    if not loaded.task.classification:
        return ()
    names = loaded.task.class_names()
    if names is None:
        return tuple(map(str, range(loaded.logits)))
    if len(names) != loaded.logits:
        raise ConfigError(
            f"`class_names` of the task {loaded.own.origin} must name the {loaded.logits} classes of the logits, but"
            f" names {len(names)}."
        )
    return tuple(names)
