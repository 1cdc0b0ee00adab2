"""Runs a search: data and teacher once, then Tune with Optuna over the policies, watched and resumable."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import pathlib
import threading
from collections.abc import Iterator
from typing import Any, Protocol

from ray import tune

from search.config import SearchConfig
from search.confirm_store import read_confirmation
from search.decisions import decision_reader
from search.errors import SearchError
from search.finish import publish_report, report_files
from search.launch import Launch
from search.preparation import Prepared, prepare
from search.raysession import check_resources, ray_session
from search.records import ENDED, SearchRecord, TrialRecord
from search.recovery import recover
from search.searcher import METRIC, FairSearch
from search.sharing import check_shared
from search.snapshots import SnapshotKeeper
from search.store import SearchStore
from search.termination import terminated_like_interrupted
from search.tracking import LiveProjection, TrackedConfirmation
from search.trials import read_search
from search.watch import Watch
from trainables.teacher import TeacherProgress
from trainables.trial import DistillationTrial

_SECONDS_TO_ABANDON = 10.0


class Listener(Protocol):
    """Who follows a search: the terminal, a test, a notebook."""

    def stage(self, text: str) -> None:
        """Something that takes a while begins."""

    def teacher(self, progress: TeacherProgress) -> None:
        """The teacher has trained for another epoch, or was found in the cache."""

    def begin(self, search: SearchRecord, config: SearchConfig) -> None:
        """Trials are about to start; `search` holds those that an earlier run finished."""

    def trial(self, record: TrialRecord) -> None:
        """A trial started, progressed or ended."""

    def tick(self) -> None:
        """Called a few times a second while trials run."""

    def end(self) -> None:
        """No more trials."""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A search with all its trials ("stopped" if it was interrupted), and its report's page."""

    search: SearchRecord
    page: pathlib.Path


def run_search(config: SearchConfig, launch: Launch, listener: Listener) -> Outcome:
    """Begin a search and see it through.

    Raises:
        SearchError: a search of this name exists already.
        KDPolicySearchError: data, teacher, cluster or tracking store cannot be had.
    """
    store = SearchStore(launch.storage, config.name)
    if store.exists():
        raise SearchError(
            f"a search {config.name!r} exists already in {launch.storage!r}. Continue it with `kd-search resume"
            f" {config.name}`, or give the new one another name: --set name=…"
        )
    return _run(config, launch, listener, store)


def resume_search(name: str, launch: Launch, listener: Listener) -> Outcome:
    """Go on with an interrupted search; nothing that finished is run again.

    Raises:
        SearchError: there is no such search.
        KDPolicySearchError: as `run_search`.
    """
    store = SearchStore(launch.storage, name)
    return _run(store.config(), launch, listener, store)


def _run(config: SearchConfig, launch: Launch, listener: Listener, store: SearchStore) -> Outcome:
    with store.locked():
        return _run_alone(config, launch, listener, store)


def _run_alone(config: SearchConfig, launch: Launch, listener: Listener, store: SearchStore) -> Outcome:
    listener.stage("starting Ray" if launch.address is None else f"joining the Ray cluster at {launch.address}")
    # Ray sets a SIGTERM handler of its own when it starts, so ours comes after it.
    with _session_beside_preparation(config, launch, listener, store) as prepared, terminated_like_interrupted():
        search = _earlier(store, prepared) if store.exists() else _new_record(config, prepared)
        search = search.model_copy(update={"status": "running"})
        store.write_header(search, launch)
        with LiveProjection(
            search,
            launch.tracking_uri,
            launch.experiment,
            read_decisions=decision_reader(store),
            confirmation=_confirmation(store),
        ) as projection:
            listener.begin(search, config)
            try:
                keeper = None if store.local_folder is None else SnapshotKeeper(store.local_folder)
                watch = Watch(config, search.trials, [listener.trial, projection.update], listener.tick, keeper)
                _fit(config, launch, store, prepared, watch)
                watch.keep_snapshot()  # Tune's last one comes after the last step
            finally:
                listener.end()
            search = read_search(store)
            ended = sum(trial.status in ENDED for trial in search.trials)
            search = search.model_copy(update={"status": "finished" if ended == config.total_trials else "stopped"})
            store.write_header(search, launch)
            listener.stage("writing the report")
            page = publish_report(search, launch)
            listener.stage("finishing what MLflow has not yet")
            tracked = projection.finish(search, report_files(page.parent))
            if not tracked.complete:
                listener.stage(f"{tracked}; complete it with: kd-search sync {config.name}")
    return Outcome(search, page)


def _confirmation(store: SearchStore) -> TrackedConfirmation | None:
    """That of an earlier run, which MLflow shows already; its champion is left as it is."""
    record = read_confirmation(store)
    return None if record is None else TrackedConfirmation(record=record)


def _earlier(store: SearchStore, prepared: Prepared) -> SearchRecord:
    """The search as it was left, if it stands on the same data and teacher."""
    search = read_search(store)
    if search.foundation != prepared.foundation:
        raise SearchError(
            f"the search {search.name!r} began with other data or another teacher than are found now, so its trials and"
            " new ones could not be compared. Bring back the pictures, checkpoint or cache that it began with, or begin"
            " a search of another name."
        )
    return search


def _new_record(config: SearchConfig, prepared: Prepared) -> SearchRecord:
    return SearchRecord(
        name=config.name,
        config=config.model_dump(mode="json"),
        teacher_accuracy=prepared.assets.teacher_accuracy,
        teacher_parameters=prepared.teacher_parameters,
        student_sizes=prepared.student_sizes,
        foundation=prepared.foundation,
        created=datetime.datetime.now(datetime.UTC),
    )


def _fit(config: SearchConfig, launch: Launch, store: SearchStore, prepared: Prepared, watch: Watch) -> None:
    trainable = tune.with_resources(
        tune.with_parameters(
            DistillationTrial,
            base=config.base_trial(),
            assets=prepared.assets,
            report_seconds=launch.report_seconds,
            checkpoint_seconds=launch.checkpoint_seconds,
        ),
        {"cpu": config.resources.cpus_per_trial, "gpu": config.resources.gpus_per_trial},
    )
    if store.has_snapshot():
        recover(store, config)
        tuner = tune.Tuner.restore(store.uri, trainable=trainable, resume_unfinished=True)
    else:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                metric=METRIC,
                mode="max",
                search_alg=FairSearch(config),
                num_samples=config.total_trials * len(config.heats),  # at most; the searcher tells when it is done
                reuse_actors=True,
                trial_dirname_creator=_folder_name,
            ),
            run_config=tune.RunConfig(
                name=config.name,
                storage_path=launch.storage_path,
                callbacks=[watch],
                verbose=0,
                # With one to keep, every checkpoint would bring a snapshot of the whole search.
                checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=True),
                # On a cluster a node may be lost, and its trials go on elsewhere; on one machine a failure is the
                # trial's own and would only be repeated.
                failure_config=tune.FailureConfig(max_failures=0 if launch.address is None else 2),
            ),
        )
    tuner.fit()


def _folder_name(trial: Any) -> str:
    return f"{trial.config['trial']:04d}-{trial.config['family']}-{trial.trial_id}"


class _Relay:
    """Passes on what a preparation tells, until it is abandoned; then what it tells next is its end."""

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
def _session_beside_preparation(
    config: SearchConfig, launch: Launch, listener: Listener, store: SearchStore
) -> Iterator[Prepared]:
    """A Ray session, started while data and teacher are prepared in a thread beside it."""
    prepared: list[Prepared] = []
    problems: list[BaseException] = []
    ray_is_up = threading.Event()
    relay = _Relay(listener)

    def work() -> None:
        try:
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
        beside.join()
        if problems:
            raise problems[0]
        yield prepared[0]
