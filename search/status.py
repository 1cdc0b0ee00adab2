"""How far a search is, from its folder and, if it was submitted, from its job."""

from __future__ import annotations

from typing import Any

from search.launch import Launch
from search.store import SearchStore
from search.trials import read_search


def search_status(name: str, launch: Launch, address: str | None) -> dict[str, Any]:
    """Plain values for people and programs; keys that do not apply are None.

    Raises:
        SearchError: there is no such search in the storage and no job of it either.
        ClusterError: no dashboard answers at `address`, or it knows no such job.
    """
    job = None
    if address is not None:
        from search.jobs import Jobs

        job = Jobs(address).require(name)
    store = SearchStore(launch.storage, name)
    if job is not None and not store.exists():
        return {"name": name, "job": job.submission_id, "job_status": str(job.status.value)}
    record = read_search(store)
    config = store.config()
    best = record.finished[0] if record.finished else None
    states = ("finished", "failed", "running", "pending")
    counts = {state: sum(t.status == state for t in record.trials) for state in states}
    return {
        "name": name,
        "status": record.status,
        "job": job.submission_id if job else None,
        "job_status": str(job.status.value) if job else None,
        "trials": config.total_trials,
        **counts,
        "best_score": best.score if best else None,
        "best_family": best.family if best else None,
        "best_rule": best.rule if best else None,
        "storage": store.uri,
        "tracking_uri": store.read_header()["tracking_uri"],
    }
