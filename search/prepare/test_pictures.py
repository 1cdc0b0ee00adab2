"""Prepares what a confirmation needs: the search's data and teacher, and the test pictures, which are opened here."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable

import numpy as np
import torch

from search.cluster import check_pictures_shared
from search.prepare.foundation import foundation_of
from search.prepare.function import function_ground
from search.prepare.ground import Ground, Pictures
from search.prepare.preparation import load_told
from search.prepare.prepared import TEACHER_STAGE, in_cluster
from search.prepare.students import initial_weights
from search.prepare.task import load_task, task_ground, task_ground_elsewhere, without_maps
from search.records import Listener
from search.settings import Launch, SearchConfig
from trainables.datasets import add_images
from trainables.device import select_compute
from trainables.models import check_model
from trainables.pictures import Dataset, MappedImages, Split
from trainables.teacher import TeacherProgress, compute_assets, compute_logits, prepare_teacher


def prepare_ground(config: SearchConfig, launch: Launch, listener: Listener) -> Ground:
    """Load the search's data, get its teacher and outputs, and compute the outputs on the test pictures too.

    Ray must be up. Where trainings use GPUs and this process sees none, the teacher's work is done in a task that has
    one.

    Raises:
        KDPolicySearchError: something is not available or does not fit.
    """
    if config.function is not None:
        return function_ground(config)
    if config.task is not None:
        loaded = load_task(config, listener)
        if config.resources.gpus_per_trial > 0 and not torch.cuda.is_available():
            return task_ground_elsewhere(config, listener, gpus=config.resources.gpus_per_trial)
        ground = task_ground(config, loaded)
        return ground if launch.address is None else without_maps(ground)
    dataset = load_told(config, launch, listener)
    if isinstance(dataset.train.images, MappedImages):
        check_pictures_shared(dataset.train.images)
    teach = functools.partial(_ground, config, dataset, launch)
    if config.resources.gpus_per_trial > 0 and not torch.cuda.is_available():
        return ground_elsewhere(config, teach, listener, gpus=config.resources.gpus_per_trial)
    return teach(listener.teacher)


def ground_elsewhere(
    config: SearchConfig,
    work: Callable[[Callable[[TeacherProgress], None]], Ground],
    listener: Listener,
    *,
    gpus: float,
) -> Ground:
    """Do the work in a Ray task with a share of a GPU, and bring the teacher here."""
    assert config.teacher is not None  # `SearchConfig` makes sure of it
    check_model(config.teacher.model)  # runs the file of a teacher of the user's own, whose class is found by its name
    return in_cluster(work, listener, gpus=gpus, stage=TEACHER_STAGE)


def _ground(
    config: SearchConfig, dataset: Dataset, launch: Launch, progress: Callable[[TeacherProgress], None]
) -> Ground:
    compute = select_compute(config.device)
    assert config.teacher is not None  # `SearchConfig` makes sure of it
    teacher = prepare_teacher(config.teacher, dataset, cache=launch.cache, compute=compute, progress=progress)
    initial = initial_weights(config, dataset)
    assets = compute_assets(dataset, teacher, config.augmentation, compute.device, launch.cache)
    pictures = Pictures(
        assets=dataclasses.replace(assets, initial=initial),
        test=dataset.test,
        test_targets=compute_logits(teacher.module, dataset.test.images, dataset, compute.device),
    )
    module = teacher.module.cpu()
    if compute.device.type == "cuda":
        torch.cuda.empty_cache()  # trainings share the card, and Ray does not count what this process keeps
    return Ground(
        pictures=pictures,
        teacher=module,
        foundation=foundation_of(config, dataset, teacher, compute.device.type, initial),
        test_digest=_digest(dataset.test),
    )


def _digest(split: Split) -> str:
    digest = hashlib.sha256(f"{split.images.shape}".encode())
    add_images(digest, split.images)
    digest.update(np.ascontiguousarray(split.labels).data)
    return digest.hexdigest()
