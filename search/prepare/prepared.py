"""Holds what all trials of a search share, and lets a cluster's node prepare it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from policies.errors import KDPolicySearchError
from search.prepare.foundation import Foundation
from search.records import Listener, PictureCounts, StudentSize
from trainables.teacher import TeacherProgress
from trainables.trainings import Assets

TEACHER_STAGE = "preparing the teacher on the cluster"

_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The data and outputs that all trials share, and facts for the report."""

    assets: Assets
    teacher_parameters: int
    foundation: Foundation
    """The identity of data, corruption and teacher. Trials of a search on others cannot be compared with these."""
    pictures: PictureCounts | None
    """The sizes of the sets; None for a training function, which alone knows them."""
    student_sizes: tuple[StudentSize, ...] = ()
    """The sizes of the students, where there are several."""
    remarks: tuple[str, ...] = ()
    """Sentences on the teacher's checkpoint, for the user."""


def in_cluster(
    work: Callable[[Callable[[TeacherProgress], None]], _Result],
    listener: Listener,
    *,
    gpus: float,
    cpus: float = 1.0,
    stage: str = "",
) -> _Result:
    """Return the result of `work` from a Ray task: it needs a teacher and a GPU, or runs code of the user's own.

    The cache of the task's node keeps the teacher.

    Args:
        work: called with a function that receives the progress of the teacher's training.
        listener: receives that progress here.
        gpus: the share of a GPU.
        cpus: the number of CPUs.
        stage: told to the listener at the start, if it is not empty.
    """
    import ray
    from ray.util.queue import Empty, Queue

    if stage:
        listener.stage(stage)
    news = Queue(actor_options={"num_cpus": 0})
    task = ray.remote(num_cpus=cpus, num_gpus=gpus)(_work_and_tell).remote(work, news)
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
