"""Reports how far a search is, from its folder and, if it was submitted, from its job."""

from __future__ import annotations

import os
from typing import Any

from search.confirm import read_confirmation, units_of
from search.errors import SearchError
from search.evidence import budget_sentence, judge
from search.records import ENDED, ConfirmationRecord, TrialRecord
from search.settings import DASHBOARD_VARIABLE, Launch, SearchConfig, next_command
from search.store import SearchStore
from search.tracking import address_on_server
from search.wording import Scale
from trainables.records import Objective

_UNFINISHED = {True: "running", False: "interrupted", None: "unfinished"}


def search_status(name: str, launch: Launch, address: str | None) -> dict[str, Any]:
    """Return plain values for people and programs; keys that do not apply are None.

    A submitted search's folder is read where its job keeps it, or else in `launch.storage`. If neither can be read from
    here, the job's last words are returned instead.

    Raises:
        SearchError: there is no such search in the storage and no job of it either.
        ClusterError: no dashboard answers at `address`, or it knows no such job.
    """
    if address is None:
        return _stored(_known(name, launch), launch)
    from search.cluster import STORAGE, Jobs, seen_from_here

    jobs = Jobs(address)
    job = jobs.require(name)
    state: dict[str, Any] = {"job": job.submission_id, "job_status": str(job.status.value)}
    if state["job_status"] == "FAILED":
        state["says"] = jobs.last_words(job)
    for storage in (job.metadata.get(STORAGE, launch.storage), launch.storage):
        store = seen_from_here(storage, name)
        if store is not None:
            return _stored(store, launch) | state
    state["says"] = jobs.last_words(job)
    return {"name": name, **state, "storage": job.metadata.get(STORAGE)}


def _known(name: str, launch: Launch) -> SearchStore:
    store = SearchStore(launch.storage, name)
    dashboard = os.environ.get(DASHBOARD_VARIABLE)
    if dashboard and not store.exists():
        raise SearchError(
            f"there is no search {name!r} in {launch.storage!r}; if it was submitted to {dashboard}, as"
            f" {DASHBOARD_VARIABLE} says, ask there: `{next_command('status', name, launch)} --address {dashboard}`."
        )
    return store


def status_lines(state: dict[str, Any]) -> list[str]:
    """Word what `search_status` returns for people: `best score: 86.00 %`."""
    lines, shown = [], dict(state)
    if shown.get("objective") is not None:
        scale = Scale(Objective(name=shown["objective"], direction=shown.pop("direction")))
        shown["objective"] = scale.title
        if shown["best_score"] is not None:
            shown["best_score"] = scale.value(shown["best_score"])
    for key, value in shown.items():
        if value is not None:
            lines.append(f"{key.replace('_', ' ')}: {value}")
    return lines


def _stored(store: SearchStore, launch: Launch) -> dict[str, Any]:
    header = store.read_header()
    from search.store import read_search

    record = read_search(store)
    config, confirmation = record.config, read_confirmation(store)
    judgement = judge(record, confirmation)
    best = record.finished[0] if record.finished else None
    begun = sum(trial.status == "pending" and _in_a_heat(trial, config) for trial in record.trials)
    # In Tune's snapshots a trial that runs is pending.
    running = begun if record.status == "running" and store.is_running() is not False else 0
    ended = {state: sum(trial.status == state for trial in record.trials) for state in ENDED}
    return {
        "name": store.name,
        "status": "interrupted" if record.status == "running" and store.is_running() is False else record.status,
        "trials": config.total_trials,
        "finished": ended["finished"],
        "left_the_race": ended["eliminated"] if len(config.heats) > 1 else None,
        "failed": ended["failed"],
        "running": running,
        "pending": record.remaining - running,
        "objective": config.objective,
        "direction": config.direction,
        "best_score": best.score if best else None,
        "best_family": best.family if best else None,
        "best_rule": best.rule if best else None,
        "confirmation": None if confirmation is None else _confirmation(store, confirmation, config),
        "worth": judgement.worth.text if record.finished else None,
        "budget_ended": budget_sentence(record) or None,
        "verdict": judgement.answer.headline if record.finished else None,
        "storage": store.uri,
        "tracking_uri": header["tracking_uri"],
        "mlflow": address_on_server(header["tracking_uri"], header["experiment"], store.name)
        or next_command("ui", store.name, launch),
    }


def _in_a_heat(trial: TrialRecord, config: SearchConfig) -> bool:
    """Tell whether one of a trial's heats has begun and not ended."""
    ended = sum(len(trial.seeds) >= heat.seeds_after for heat in config.heats)
    return trial.started is not None and len(trial.folders) > ended


def _confirmation(store: SearchStore, record: ConfirmationRecord, config: SearchConfig) -> str:
    done, total = len(record.results), len(units_of(record))
    state = "finished" if record.complete else _UNFINISHED[store.is_running()]
    grown = "" if record.size_of(config) == config.size else ", of the search before it grew"
    return f"{state}, {done} of {total} trainings on {len(record.seeds)} fresh seeds{grown}"
