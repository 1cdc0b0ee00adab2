"""Checks a search before it is run or resumed, and reads it as it is stored."""

from __future__ import annotations

from search.cluster import check_cluster, check_writable, in_ray_job
from search.records import SearchRecord
from search.settings import Launch, SearchConfig
from search.store import SearchStore, check_config, check_unchanged, continued
from search.tracking import check_quickly


def check_start(
    config: SearchConfig, launch: Launch, *, resume: bool, grown: bool = False
) -> tuple[SearchConfig, bool]:
    """Make sure that a search can start, within seconds.

    Args:
        config: the search.
        launch: its places.
        resume: resume a search of this name if there is one.
        grown: the settings are those with which a search that has begun is to continue, as `search.store.grown` says.

    Returns:
        The settings that it starts with, and True if it resumes a search that has begun.

    Raises:
        KDPolicySearchError: settings, places, cluster or MLflow's store are wrong.
    """
    store = SearchStore(launch.storage, config.name)
    resumed = resume and store.exists()
    if resumed and not grown:
        begun = store.header_record()
        check_unchanged(config, begun.config)
        config = continued(begun, config)
    check_config(config, launch)
    check_writable(store, launch.storage_option)
    check_quickly(launch.tracking_uri)  # the store is opened beside Ray's start
    if launch.address is not None and not in_ray_job():
        check_cluster(launch.address)
    return config, resumed


def read_record(name: str, launch: Launch) -> SearchRecord:
    """Read a search; one whose process was killed counts as stopped.

    Raises:
        SearchError: there is no such search, or it is damaged.
    """
    store = SearchStore(launch.storage, name)
    store.read_header()  # a name that is not known need not wait for Ray Tune's import
    from search.store import read_search

    record = read_search(store)
    if record.status == "running" and store.is_running() is False:
        return record.model_copy(update={"status": "stopped"})  # a killed process could not write so
    return record
