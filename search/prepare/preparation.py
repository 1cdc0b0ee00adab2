"""Prepares what a search needs before its first trial: checked settings, data, teacher and the teacher's outputs."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable

import torch
from torch import nn

from search.cluster import check_pictures_shared
from search.prepare.foundation import foundation_of
from search.prepare.function import prepare_function
from search.prepare.prepared import TEACHER_STAGE, Prepared, in_cluster
from search.prepare.students import check_students, initial_weights
from search.prepare.task import load_task, prepare_task, prepare_task_elsewhere
from search.records import Listener, PictureCounts, StudentSize
from search.settings import Launch, SearchConfig
from trainables.config import ModelSettings
from trainables.datasets import load_dataset
from trainables.device import select_compute
from trainables.models import Example, count_flops, create_model
from trainables.pictures import Dataset, MappedImages
from trainables.tasks import TaskAssets, TaskNetwork, create_task, example_of
from trainables.teacher import TeacherProgress, better_constants, compute_assets, prepare_teacher
from trainables.training import Corruption, try_out_views


def prepare(config: SearchConfig, launch: Launch, listener: Listener, ray_is_up: threading.Event) -> Prepared:
    """Load the data, get the teacher and compute its outputs.

    If trials use GPUs and this process sees none, the teacher's work is done in a Ray task that has one. An example is
    a driver on a cluster's head.

    Args:
        config: the search.
        launch: its places.
        listener: receives the events.
        ray_is_up: set once Ray may be used.

    Raises:
        KDPolicySearchError: something is not available or does not fit.
    """
    if config.function is not None:
        return prepare_function(config, listener, ray_is_up)
    if config.task is not None:
        loaded = load_task(config, listener)
        if config.resources.gpus_per_trial > 0 and not torch.cuda.is_available():
            ray_is_up.wait()
            prepared = prepare_task_elsewhere(config, listener, gpus=config.resources.gpus_per_trial)
        else:
            prepared = prepare_task(config, loaded)
            if launch.address is not None and isinstance(prepared.assets, TaskAssets):
                prepared = dataclasses.replace(prepared, assets=prepared.assets.in_memory())
        sizes = _sizes(
            config,
            lambda student: TaskNetwork(create_task(loaded.own, **student.options)),
            example_of(loaded.validation),
        )
        return dataclasses.replace(prepared, student_sizes=sizes)
    dataset = load_checked(config, launch, listener)
    if launch.address is not None and isinstance(dataset.train.images, MappedImages):
        ray_is_up.wait()
        check_pictures_shared(dataset.train.images)
    if torch.cuda.is_available() and config.resources.gpus_per_trial == 0:
        listener.stage("this machine has a GPU that trials will not use; --gpus-per-trial 0.25 packs four on it")
    if config.resources.gpus_per_trial > 0 and not torch.cuda.is_available():
        ray_is_up.wait()
        work = functools.partial(teach, config, dataset, launch)
        prepared = in_cluster(work, listener, gpus=config.resources.gpus_per_trial, stage=TEACHER_STAGE)
    else:
        prepared = teach(config, dataset, launch, listener.teacher)
    for remark in prepared.remarks:
        listener.stage(remark)
    shape, classes = dataset.image_shape, len(dataset.classes)
    sizes = _sizes(config, lambda student: create_model(student, image_shape=shape, classes=classes), shape)
    return dataclasses.replace(prepared, student_sizes=sizes)


def _sizes(
    config: SearchConfig, create: Callable[[ModelSettings], nn.Module], like: tuple[int, int, int] | Example
) -> tuple[StudentSize, ...]:
    """Measure the students; nothing for a single one, since counting FLOPs first takes a second or two of imports."""
    if len(config.students) < 2:
        return ()
    sizes = []
    for name, settings in config.students.items():
        student = create(settings).eval()
        sizes.append(
            StudentSize(
                name=name,
                parameters=sum(parameter.numel() for parameter in student.parameters() if parameter.requires_grad),
                flops=count_flops(student, like),
            )
        )
    return tuple(sizes)


def load_told(config: SearchConfig, launch: Launch, listener: Listener) -> Dataset:
    """Load the data, and report how many pictures there are.

    Raises:
        KDPolicySearchError: they are not available.
    """
    listener.stage(f"loading {config.data.name}")
    dataset = load_dataset(config.data, default_root=launch.data_root, progress=listener.stage)
    listener.stage(PictureCounts.of(dataset).in_words)
    for line in () if dataset.inventory is None else dataset.inventory.lines:
        listener.stage(line)
    return dataset


def load_checked(config: SearchConfig, launch: Launch, listener: Listener) -> Dataset:
    """Load the data, and check once, before every training, that students, KPIs, views and corruption fit them.

    Raises:
        KDPolicySearchError: something is not available or does not fit.
    """
    dataset = load_told(config, launch, listener)
    for remark in check_students(config, dataset):
        listener.stage(remark)
    if config.augmentation.function is not None:
        try_out_views(config.augmentation, dataset.train.images)
        views = config.augmentation.views * len(dataset.train)
        listener.stage(f"{views:,} views by {config.augmentation.function} will be computed")
    if config.corruption is not None:
        Corruption(
            config.corruption, pictures=len(dataset.train), batch_size=config.training.batch_size, seed=config.seed
        )
    return dataset


def teach(
    config: SearchConfig, dataset: Dataset, launch: Launch, progress: Callable[[TeacherProgress], None]
) -> Prepared:
    """Prepare the teacher and compute its outputs in this process."""
    compute = select_compute(config.device)
    assert config.teacher is not None  # `SearchConfig` makes sure of it
    teacher = prepare_teacher(config.teacher, dataset, cache=launch.cache, compute=compute, progress=progress)
    assets = compute_assets(dataset, teacher, config.augmentation, compute.device, launch.cache)
    initial = initial_weights(config, dataset)
    foundation = foundation_of(config, dataset, teacher, compute.device.type, initial)
    remarks = teacher.remarks
    if config.teacher.checkpoint is not None and config.teacher.normalization is None:
        found = better_constants(teacher.module, dataset, compute.device)
        remarks += (found,) if found else ()
    prepared = Prepared(
        dataclasses.replace(assets, initial=initial),
        teacher.parameters,
        foundation,
        PictureCounts.of(dataset),
        remarks=remarks,
    )
    del teacher
    if compute.device.type == "cuda":
        torch.cuda.empty_cache()  # trials share the card, and Ray does not count what this process keeps
    return prepared
