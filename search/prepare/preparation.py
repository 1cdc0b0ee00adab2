"""What a search stands on before its first trial: checked settings, data, teacher and the teacher's outputs."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import torch

from policies.errors import KDPolicySearchError
from search.cluster import check_pictures_shared
from search.prepare.foundation import Foundation, foundation_of
from search.records import PictureCounts, StudentSize
from search.settings import Launch, SearchConfig
from trainables.datasets import load_dataset
from trainables.device import select_compute
from trainables.evaluation import try_out
from trainables.models import count_flops, create_model
from trainables.pictures import Dataset, MappedImages, TrialAssets
from trainables.teacher import TeacherProgress, compute_assets, prepare_teacher
from trainables.training import Corruption

_Result = TypeVar("_Result")


class PreparationListener(Protocol):
    """Who follows the preparation."""

    def stage(self, text: str) -> None:
        """Something that takes a while begins."""

    def teacher(self, progress: TeacherProgress) -> None:
        """The teacher has trained for another epoch, or was found in the cache."""


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What all trials share, and what the report says of the teacher."""

    assets: TrialAssets
    teacher_parameters: int
    foundation: Foundation
    """The data, their corruption and the teacher: a search resumed on others would compare what cannot be compared."""
    pictures: PictureCounts
    student_sizes: tuple[StudentSize, ...] = ()
    """Where there are several students."""


def prepare(
    config: SearchConfig, launch: Launch, listener: PreparationListener, ray_is_up: threading.Event
) -> Prepared:
    """Load the data, get the teacher and compute its outputs.

    Where trials use GPUs and this process sees none (a driver on a cluster's head, say), the teacher's work is done
    in a Ray task that has one.

    Args:
        config: the search.
        launch: its places.
        listener: told what happens.
        ray_is_up: set once Ray may be used.

    Raises:
        KDPolicySearchError: something cannot be had or does not fit.
    """
    dataset = load_checked(config, launch, listener)
    if launch.address is not None and isinstance(dataset.train.images, MappedImages):
        ray_is_up.wait()
        check_pictures_shared(dataset.train.images)
    if torch.cuda.is_available() and config.resources.gpus_per_trial == 0:
        listener.stage("this machine has a GPU that trials will not use; --gpus-per-trial 0.25 packs four on it")
    if config.resources.gpus_per_trial > 0 and not torch.cuda.is_available():
        ray_is_up.wait()
        prepared = teach_in_cluster(config, dataset, launch, listener, gpus=config.resources.gpus_per_trial)
    else:
        prepared = teach(config, dataset, launch, listener.teacher)
    return dataclasses.replace(prepared, student_sizes=_sizes(config, dataset))


def _sizes(config: SearchConfig, dataset: Dataset) -> tuple[StudentSize, ...]:
    """Nothing for a single student: counting FLOPs the first time takes a second or two of imports."""
    if len(config.students) < 2:
        return ()
    sizes = []
    for name, settings in config.students.items():
        student = create_model(settings, image_shape=dataset.image_shape, classes=len(dataset.classes)).eval()
        sizes.append(
            StudentSize(
                name=name,
                parameters=sum(parameter.numel() for parameter in student.parameters() if parameter.requires_grad),
                flops=count_flops(student, dataset.image_shape),
            )
        )
    return tuple(sizes)


def load_told(config: SearchConfig, launch: Launch, listener: PreparationListener) -> Dataset:
    """The data, and how many there are is told.

    Raises:
        KDPolicySearchError: they cannot be had.
    """
    listener.stage(f"loading {config.data.name}")
    dataset = load_dataset(config.data, default_root=launch.data_root, progress=listener.stage)
    listener.stage(PictureCounts.of(dataset).in_words)
    return dataset


def load_checked(config: SearchConfig, launch: Launch, listener: PreparationListener) -> Dataset:
    """The data. A student, KPI or corruption that does not fit them must be told now, not by every training.

    Raises:
        KDPolicySearchError: something cannot be had or does not fit.
    """
    dataset = load_told(config, launch, listener)
    for name, settings in config.students.items():
        student = create_model(
            settings,
            image_shape=dataset.image_shape,
            classes=len(dataset.classes),
            section=config.student_sections[name],
        )
        try_out(config.kpis, student, dataset)
    if config.corruption is not None:
        Corruption(
            config.corruption, pictures=len(dataset.train), batch_size=config.training.batch_size, seed=config.seed
        )
    return dataset


def teach(
    config: SearchConfig, dataset: Dataset, launch: Launch, progress: Callable[[TeacherProgress], None]
) -> Prepared:
    """The teacher and its outputs, computed in this process."""
    compute = select_compute(config.device)
    teacher = prepare_teacher(config.teacher, dataset, cache=launch.cache, compute=compute, progress=progress)
    assets = compute_assets(dataset, teacher, config.augmentation, compute.device, launch.cache)
    foundation = foundation_of(config, dataset, teacher, compute.device.type)
    prepared = Prepared(assets, teacher.parameters, foundation, PictureCounts.of(dataset))
    del teacher
    if compute.device.type == "cuda":
        torch.cuda.empty_cache()  # trials share the card, and Ray does not count what this process keeps
    return prepared


def teach_in_cluster(
    config: SearchConfig, dataset: Dataset, launch: Launch, listener: PreparationListener, *, gpus: float
) -> Prepared:
    """As `teach`, in a Ray task with a share of a GPU; its node's cache keeps the teacher."""
    return in_cluster(functools.partial(teach, config, dataset, launch), listener, gpus=gpus)


def in_cluster(
    work: Callable[[Callable[[TeacherProgress], None]], _Result], listener: PreparationListener, *, gpus: float
) -> _Result:
    """What `work` returns, which needs a teacher, from a Ray task with a share of a GPU.

    Args:
        work: given whom to tell of the teacher's training.
        listener: told of it.
        gpus: the share.
    """
    import ray
    from ray.util.queue import Empty, Queue

    listener.stage("preparing the teacher on the cluster")
    news = Queue(actor_options={"num_cpus": 0})
    task = ray.remote(num_cpus=1, num_gpus=gpus)(_work_and_tell).remote(work, news)
    try:
        while not ray.wait([task], timeout=0)[0] or not news.empty():
            with contextlib.suppress(Empty):
                listener.teacher(news.get(timeout=0.5))
        result: _Result = ray.get(task)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, KDPolicySearchError):
            raise error.cause from error
        raise
    finally:
        news.shutdown()
    return result


def _work_and_tell(work: Callable[[Callable[[TeacherProgress], None]], _Result], news: Any) -> _Result:
    return work(news.put)
