"""Runs a search: data and teacher once, then Tune with Optuna over the policies, watched and resumable."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
from typing import TYPE_CHECKING

from search.cluster import stopped_on_request
from search.confirm import read_confirmation
from search.errors import SearchError
from search.records import ENDED, Listener, SearchRecord
from search.run.start import prepared_session
from search.settings import Launch, SearchConfig, next_command
from search.store import SearchStore
from search.tracking import MLflowProcess

if TYPE_CHECKING:
    from search.prepare import Prepared
    from search.tracking import TrackedConfirmation


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A search with all its trials ("stopped" if it was interrupted), and its report's page."""

    search: SearchRecord
    page: pathlib.Path


def run_search(config: SearchConfig, launch: Launch, listener: Listener) -> Outcome:
    """Begin a search and run it to its end.

    Raises:
        SearchError: a search of this name exists already.
        KDPolicySearchError: data, teacher, cluster or tracking store is not available.
    """
    store = SearchStore(launch.storage, config.name)
    if store.exists():
        raise SearchError(
            f"a search {config.name!r} exists already in {launch.storage!r}. Resume it with"
            f" `{next_command('resume', config.name, launch)}`, or give the new one another name: --set name=…"
        )
    return _run(config, launch, listener, store)


def resume_search(name: str, launch: Launch, listener: Listener) -> Outcome:
    """Resume an interrupted search; no trial that finished is run again.

    Raises:
        SearchError: there is no such search.
        KDPolicySearchError: as `run_search`.
    """
    store = SearchStore(launch.storage, name)
    store.check_resumable()
    return _run(store.config(), launch, listener, store)


def _run(config: SearchConfig, launch: Launch, listener: Listener, store: SearchStore) -> Outcome:
    with (
        store.locked(),
        stopped_on_request(store, "resume"),
        MLflowProcess() as mlflow,
        prepared_session(config, launch, listener, store, mlflow) as prepared,
    ):
        # These import Tune and PyTorch, which were imported during Ray's start, or could not be.
        from search.plan import planned_trials
        from search.run.events import SearchEvents
        from search.run.publish import publish_report, report_files
        from search.run.tuner import most_failures, run_trials
        from search.store import SnapshotKeeper, decision_reader, read_search
        from search.tracking import LiveProjection

        search = _earlier(store, prepared) if store.exists() else _new_record(config, prepared)
        search = search.model_copy(update={"status": "running"})
        store.write_header(search, launch)
        with LiveProjection(
            search,
            launch.tracking_uri,
            launch.experiment,
            read_decisions=decision_reader(store),
            confirmation=_confirmation(store),
            process=mlflow,
        ) as projection:
            listener.search_begins(search, config)
            try:
                keeper = None if store.local_folder is None else SnapshotKeeper(store.local_folder)
                events = SearchEvents(
                    config,
                    search.trials,
                    [listener.trial, projection.update],
                    listener.tick,
                    keeper,
                    most_failures(launch),
                )
                run_trials(config, launch, store, prepared.assets, events)
                events.keep_snapshot(last=True)  # Tune's last one comes after the last step
            finally:
                listener.end()
            search = read_search(store)
            ended = sum(trial.status in ENDED for trial in search.trials)
            status = "finished" if ended == planned_trials(config, search.trials) else "stopped"
            search = search.model_copy(update={"status": status})
            store.write_header(search, launch)
            listener.stage("writing the report")
            page = publish_report(search, launch)
            listener.stage("writing the rest to MLflow")
            tracked = projection.finish(search, report_files(page.parent))
            if not tracked.complete:
                listener.stage(f"{tracked}; complete it with: {next_command('sync', config.name, launch)}")
    return Outcome(search, page)


def _confirmation(store: SearchStore) -> TrackedConfirmation | None:
    """Return an earlier run's confirmation, which MLflow shows already; its champion is not registered again."""
    from search.tracking import TrackedConfirmation

    record = read_confirmation(store)
    return None if record is None else TrackedConfirmation(record=record)


def _earlier(store: SearchStore, prepared: Prepared) -> SearchRecord:
    """Read the search as it was left; raise SearchError if it ran on other data or another teacher."""
    from search.store import read_search

    search = read_search(store)
    if other := prepared.foundation.mismatch(search.foundation):
        raise SearchError(
            f"the search {search.name!r} began on other inputs than those found now ({other}), so its trials and new"
            " ones could not be compared. Restore the data, checkpoint, cache or kind of device that it began with,"
            " or begin a search of another name."
        )
    return search.model_copy(update={"foundation": prepared.foundation.text})  # an earlier release's says less


def _new_record(config: SearchConfig, prepared: Prepared) -> SearchRecord:
    from trainables.functions import FunctionAssets  # imports PyTorch, as the preparation has

    return SearchRecord(
        name=config.name,
        config=config.model_dump(mode="json"),
        teacher_accuracy=prepared.assets.teacher_accuracy,
        teacher_parameters=prepared.teacher_parameters,
        student_sizes=prepared.student_sizes,
        pictures=prepared.pictures,
        own_losses=isinstance(prepared.assets, FunctionAssets) and not prepared.assets.on_logits,
        foundation=prepared.foundation.text,
        created=datetime.datetime.now(datetime.UTC),
    )
