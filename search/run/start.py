"""Starts a Ray session, and prepares data and teacher at the same time.

Ray takes seconds to start, most of them waiting for its own processes. PyTorch and the data are loaded meanwhile, so
this module imports them only in a thread beside Ray's start. MLflow's store is opened by its own process.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from search.cluster import check_resources, check_shared, ray_session
from search.records import Listener
from search.settings import Launch, SearchConfig
from search.store import SearchStore
from search.tracking import MLflowProcess, check_quickly

if TYPE_CHECKING:
    from search.prepare import Prepared
    from trainables.teacher import TeacherProgress

_SECONDS_TO_ABANDON = 10.0


class _Relay(Listener):
    """Passes on a preparation's events until it is abandoned; its next event then ends it."""

    def __init__(self, listener: Listener) -> None:
        self.abandoned = False
        self._listener = listener

    def stage(self, text: str) -> None:
        self._check()
        self._listener.stage(text)

    def teacher(self, progress: TeacherProgress) -> None:
        self._check()
        self._listener.teacher(progress)

    def _check(self) -> None:
        if self.abandoned:
            raise InterruptedError("the search has ended before its trials")


@contextlib.contextmanager
def prepared_session(
    config: SearchConfig, launch: Launch, listener: Listener, store: SearchStore, mlflow: MLflowProcess
) -> Iterator[Prepared]:
    """Start a Ray session while a thread prepares data and teacher, and MLflow's process opens its store.

    Args:
        config: the search.
        launch: its places.
        listener: receives the events.
        store: of the search.
        mlflow: opens the tracking store.

    Raises:
        KDPolicySearchError: data, teacher, cluster or tracking store is not available.
    """
    listener.stage("starting Ray" if launch.address is None else f"joining the Ray cluster at {launch.address}")
    check_quickly(launch.tracking_uri)
    mlflow.begin_check(launch.tracking_uri)
    prepared: list[Prepared] = []
    problems: list[BaseException] = []
    ray_is_up = threading.Event()
    relay = _Relay(listener)

    def work() -> None:
        try:
            from search.prepare import prepare

            prepared.append(prepare(config, launch, relay, ray_is_up))
        except BaseException as error:
            problems.append(error)

    beside = threading.Thread(target=work, name="preparation", daemon=True)

    def abandon() -> None:
        # A thread that is in PyTorch when the interpreter ends would abort the process.
        relay.abandoned = True
        ray_is_up.set()
        beside.join(_SECONDS_TO_ABANDON)

    beside.start()
    with contextlib.ExitStack() as stack:
        stack.callback(abandon)
        stack.enter_context(ray_session(launch.address))
        stack.callback(abandon)  # here Ray is still up, which the thread may be using
        check_resources(config)
        ray_is_up.set()
        check_shared(store)
        mlflow.end_check()
        beside.join()
        if problems:
            raise problems[0]
        yield prepared[0]
