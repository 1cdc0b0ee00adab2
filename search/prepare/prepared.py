"""Holds what all trials of a search share, and lets a cluster's node prepare it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from policies.errors import KDPolicySearchError
from search.prepare.foundation import Foundation
from search.records import Listener, PictureCounts, StudentSize
from trainables.pictures import TrialAssets
from trainables.tasks import TaskAssets
from trainables.teacher import TeacherProgress

_Result = TypeVar("_Result")


@dataclasses.dataclass(frozen=True)
class Prepared:
    """The data and outputs that all trials share, and facts for the report."""

    assets: TrialAssets | TaskAssets
    teacher_parameters: int
    foundation: Foundation
    """The identity of data, corruption and teacher. Trials of a search on others cannot be compared with these."""
    pictures: PictureCounts
    student_sizes: tuple[StudentSize, ...] = ()
    """The sizes of the students, where there are several."""
    remarks: tuple[str, ...] = ()
    """Sentences on the teacher's checkpoint, for the user."""


def in_cluster(
    work: Callable[[Callable[[TeacherProgress], None]], _Result], listener: Listener, *, gpus: float
) -> _Result:
    """Return the result of `work`, which needs a teacher, from a Ray task with a share of a GPU.

    The cache of the task's node keeps the teacher.

    Args:
        work: called with a function that receives the progress of the teacher's training.
        listener: receives that progress here.
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
