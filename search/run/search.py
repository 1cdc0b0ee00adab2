"""Runs a search: data and teacher once, then Tune with Optuna over the policies, watched and resumable."""

from __future__ import annotations

import dataclasses
import datetime
import pathlib
from typing import TYPE_CHECKING

from search.cluster import stopped_on_request
from search.confirm import read_confirmation
from search.errors import SearchError
from search.plan import BudgetClock
from search.records import ENDED, BudgetEnd, Listener, SearchRecord
from search.run.start import prepared_session
from search.settings import Launch, SearchConfig, budget_text, next_command
from search.store import SearchStore
from search.tracking import MLflowProcess
from search.wording import duration

if TYPE_CHECKING:
    from search.prepare import Prepared
    from search.tracking import TrackedConfirmation


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A search with all its trials ("stopped" if it was interrupted), and its report's page."""

    search: SearchRecord
    page: pathlib.Path
    mlflow: str = ""
    """The address of its trials on an MLflow server, or else the command that shows them."""


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


def resume_search(name: str, launch: Launch, listener: Listener, config: SearchConfig | None = None) -> Outcome:
    """Resume an interrupted search, or let one grow; no trial that finished is run again.

    Args:
        name: of the search.
        launch: its places.
        listener: receives the events.
        config: its settings with another size or budget, by `search.store.grown`; when not given, those that it has.

    Raises:
        SearchError: there is no such search, or its budget is spent already.
        KDPolicySearchError: as `run_search`.
    """
    store = SearchStore(launch.storage, name)
    store.check_resumable()
    if config is not None:
        _check_budget(config, store)
    return _run(config or store.config(), launch, listener, store)


def _check_budget(config: SearchConfig, store: SearchStore) -> None:
    """Raise SearchError if rounds are to be added, but the budget is spent."""
    if config.budget is None or config.budget_seconds is None or config.size == store.config().size:
        return
    from search.plan import seconds_spent
    from search.store import read_search

    spent = seconds_spent(read_search(store).trials)
    if spent >= config.budget_seconds:
        raise SearchError(
            f"`budget` must be more than the search {config.name!r} has taken in all its runs, {duration(spent)}, so"
            f" that it can grow, but got {config.budget!r}; give a larger one, e.g. --set"
            f" budget={budget_text(2 * spent)}, or --set budget=none for no limit."
        )


def _run(config: SearchConfig, launch: Launch, listener: Listener, store: SearchStore) -> Outcome:
    clock = None if config.budget_seconds is None else BudgetClock(config.budget_seconds)
    with (
        store.locked(),
        stopped_on_request(store, "resume"),
        MLflowProcess() as mlflow,
        prepared_session(config, launch, listener, store, mlflow) as prepared,
    ):
        # These import Tune and PyTorch, which were imported during Ray's start, or could not be.
        from search.plan import PlannedSearch, planned_trials, seconds_spent
        from search.run.events import SearchEvents
        from search.run.publish import publish_champion, publish_report, report_files
        from search.run.tuner import most_failures, run_trials
        from search.store import SnapshotKeeper, decision_reader, read_search
        from search.tracking import LiveProjection

        search = _earlier(store, prepared, config) if store.exists() else _new_record(config, prepared)
        search = search.model_copy(update={"status": "running"})
        store.write_header(search, launch)
        if clock is not None:
            clock.add(seconds_spent(search.trials))
        with LiveProjection(
            search,
            launch.tracking_uri,
            launch.experiment,
            read_decisions=decision_reader(store),
            confirmation=_confirmation(store),
            process=mlflow,
            opened=lambda address: listener.stage(f"MLflow: {address}"),
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

                def ended_by_budget(smaller: SearchConfig, end: BudgetEnd) -> None:
                    # At once: a search that is killed and resumed must not decide again.
                    store.write_header(search.model_copy(update={"config": smaller, "budget_end": end}), launch)
                    events.resize(smaller)
                    listener.stage(
                        f"the budget of {end.budget} ends the search after {end.rounds} of {end.planned} rounds"
                    )

                searcher = PlannedSearch(config, clock, ended_by_budget)
                run_trials(config, launch, store, prepared.assets, events, searcher)
                events.keep_snapshot(last=True)  # Tune's last one comes after the last step
            finally:
                listener.end()
            search = read_search(store)
            ended = sum(trial.status in ENDED for trial in search.trials)
            status = "finished" if ended == planned_trials(search.config, search.trials) else "stopped"
            search = search.model_copy(update={"status": status})
            store.write_header(search, launch)
            listener.stage("writing the report")
            page = publish_report(search, launch)
            if search.config.earlier_sizes:  # a champion's card says so if the search has grown since
                publish_champion(search, store, launch)
            listener.stage("writing the rest to MLflow")
            tracked = projection.finish(search, report_files(page.parent))
            if not tracked.complete:
                listener.stage(f"{tracked}; complete it with: {next_command('sync', config.name, launch)}")
    return Outcome(search, page, tracked.address or next_command("ui", config.name, launch))


def _confirmation(store: SearchStore) -> TrackedConfirmation | None:
    """Return an earlier run's confirmation, which MLflow shows already; its champion is not registered again."""
    from search.tracking import TrackedConfirmation

    record = read_confirmation(store)
    return None if record is None else TrackedConfirmation(record=record)


def _earlier(store: SearchStore, prepared: Prepared, config: SearchConfig) -> SearchRecord:
    """Read the search as it was left, with the settings with which it continues.

    Raises:
        SearchError: it ran on other data or another teacher.
    """
    from search.store import read_search

    search = read_search(store)
    if other := prepared.foundation.mismatch(search.foundation):
        raise SearchError(
            f"the search {search.name!r} began on other inputs than those found now ({other}), so its trials and new"
            " ones could not be compared. Restore the data, checkpoint, cache or kind of device that it began with,"
            " or begin a search of another name."
        )
    end = search.budget_end if config.trials_per_family == search.config.trials_per_family else None
    return search.model_copy(
        # The foundation of an earlier release says less.
        update={"config": config, "budget_end": end, "foundation": prepared.foundation.text}
    )


def _new_record(config: SearchConfig, prepared: Prepared) -> SearchRecord:
    from trainables.functions import FunctionAssets  # imports PyTorch, as the preparation has

    return SearchRecord(
        name=config.name,
        config=config.model_dump(mode="json"),
        teacher_accuracy=prepared.assets.teacher_accuracy,
        teacher_parameters=prepared.teacher_parameters,
        student_sizes=prepared.student_sizes,
        pictures=prepared.pictures,
        own_losses=isinstance(prepared.assets, FunctionAssets) and prepared.assets.given != "logits",
        foundation=prepared.foundation.text,
        created=datetime.datetime.now(datetime.UTC),
    )
