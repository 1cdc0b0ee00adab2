"""Makes a search that was killed what Tune can restore: its newest whole snapshot, and what happened after it."""

from __future__ import annotations

import json

from ray.tune.experiment import Trial

from search.config import SearchConfig
from search.searcher import METRIC, FairSearch
from search.snapshots import put_back
from search.store import SearchStore
from search.trial_files import merge, snapshot_states


def recover(store: SearchStore, config: SearchConfig) -> None:
    """Bring Tune's files in a search's folder up to date, before Tune reads them.

    Trials that ended after the last snapshot count as ended, and those that were begun after it go on; the searcher is
    told of both.

    Raises:
        SearchError: the search has no snapshot, or a file is damaged.
    """
    if store.local_folder is not None:
        put_back(store.local_folder)
    states = snapshot_states(store)
    merged = merge(store, states)
    if merged == states:
        return
    searcher_path, snapshot_path = store.newest("searcher-state-"), store.newest("experiment_state-")
    searcher = FairSearch(config)
    searcher.load(store.read_bytes(searcher_path))
    _catch_up(searcher, [state.trial() for trial_id, state in merged.items() if state != states.get(trial_id)])
    snapshot = json.loads(store.read_bytes(snapshot_path))
    snapshot["trial_data"] = list(merged.values())
    # The searcher first: one that knows of trials that Tune has not heard of is put right by the next try.
    store.replace(searcher_path, searcher.dump())
    store.replace(snapshot_path, json.dumps(snapshot).encode())


def _catch_up(searcher: FairSearch, trials: list[Trial]) -> None:
    for trial in sorted(trials, key=lambda trial: (trial.config["trial"], trial.config["seeds"])):
        if not searcher.knows(trial.trial_id):
            searcher.recall(trial.trial_id, trial.config)
    for trial in sorted(trials, key=lambda trial: trial.run_metadata.last_result_time):
        if trial.status == Trial.TERMINATED:
            searcher.on_trial_complete(trial.trial_id, {METRIC: trial.last_result[METRIC]})
        elif trial.status == Trial.ERROR:
            searcher.on_trial_complete(trial.trial_id, error=True)
