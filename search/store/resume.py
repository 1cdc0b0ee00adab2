"""Makes a search that was killed what Tune can restore: its newest whole snapshot, and what happened after it."""

from __future__ import annotations

import copy
import json
import pathlib
import zipfile
from collections.abc import Iterable

import pyarrow.fs
from ray.tune.experiment import Trial

from search.errors import SearchError
from search.plan import Run, dump_runs, scores_of
from search.store.folder import SearchStore
from search.store.snapshots import SnapshotKeeper, begin_to_put_aside, forget_earlier_sessions, put_back, puts_aside
from search.store.trial_files import CHECKPOINT, TrialState, has_ended, trial_states
from trainables.trial import STATE_FILE

_OF_THE_SESSION = ("_cached_trial_decisions", "_queued_trial_decisions", "_max_pending_trials")
"""What Tune takes from a snapshot though it belongs to the run that wrote it: decisions that waited for a checkpoint of
then, and how many workers come up at a time, on the machines of then. Without them it has those of a new run."""


def recover(store: SearchStore) -> list[TrialState]:
    """Bring Tune's files in a search's folder up to date, before Tune reads them.

    Trials that ended after the last snapshot count as ended, and those that were begun after it go on. The searcher is
    rebuilt from them.

    Returns:
        The trials as Tune will find them.

    Raises:
        SearchError: the search has no snapshot, or a file is damaged.
    """
    if (folder := store.local_folder) is not None:
        if not puts_aside(folder):  # a copy, perhaps, without hidden files
            SnapshotKeeper(folder).keep(folder)
        put_back(folder)
    states = [state.as_left() for state in trial_states(store)]
    mend_checkpoints(store, states)
    searcher_path, snapshot_path = store.newest("searcher-state-"), store.newest("experiment_state-")
    snapshot = json.loads(store.read_bytes(snapshot_path))
    snapshot["trial_data"] = states
    for name in _OF_THE_SESSION:
        snapshot["runner_data"].pop(name, None)
    # The searcher first: one that knows of trials that Tune has not heard of is put right by the next try.
    store.replace(searcher_path, dump_runs(_run(state.trial()) for state in states))
    store.replace(snapshot_path, json.dumps(snapshot).encode())
    return states


def cleared_staging(store: SearchStore, states: list[TrialState]) -> pathlib.Path | None:
    """The folder to which Tune will bring what it restores from; None if there is no trial. Ray must be up.

    On a cluster, whose Ray outlives a driver, it may hold files of a driver that was killed, newer than the search's
    own, and Tune would take these. They are deleted.

    Args:
        store: the search's.
        states: its trials, as `recover` returns them.
    """
    if not states:
        return None
    storage = copy.copy(states[0].trial().storage)
    storage.experiment_dir_name = store.name  # a search may have been moved
    staging = pathlib.Path(storage.experiment_driver_staging_path)
    forget_earlier_sessions(staging)
    return staging


def begin_anew(store: SearchStore) -> None:
    """Forget the trials of a search that was killed before its first snapshot.

    Others take their numbers, and beside those they would be trials that never end.

    Raises:
        SearchError: one has ended, so there must have been a snapshot.
    """
    folders = store.trial_folders()
    if ended := [folder for folder in folders if has_ended(store, folder)]:
        raise SearchError(
            f"the search {store.name!r} has no snapshot to go on from, but trials that ended, such as {ended[0]!r}."
            f" If {store.uri!r} is a copy, its link `.snapshots/latest` was left out: copy it again with `cp -a`."
            " Otherwise begin a search of another name: --set name=…"
        )
    for folder in folders:
        store.filesystem.delete_dir(f"{store.folder}/{folder}")
    if store.local_folder is not None:
        begin_to_put_aside(store.local_folder)


def mend_checkpoints(store: SearchStore, states: Iterable[TrialState]) -> None:
    """See that every trial that goes on has a checkpoint to go on from.

    The one that a snapshot names may be gone, replaced by newer ones before the next snapshot, or be that of the
    trial's end, which nobody heard of any more. Then the newest one of an unfinished trial takes its place, or an empty
    one, with which the trial begins anew.
    """
    filesystem = store.filesystem
    for state in states:
        checkpoint = None if state.ended else state.trial().checkpoint
        if checkpoint is None:
            continue
        trial, name = checkpoint.path.rstrip("/").split("/")[-2:]
        folder = f"{store.folder}/{trial}"
        named = f"{folder}/{name}"
        if _has_state(filesystem, named):
            continue
        found = filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
        others = [info.path for info in found if info.base_name.startswith(CHECKPOINT) and info.base_name != name]
        filesystem.create_dir(named, recursive=True)
        filesystem.delete_dir_contents(named)
        for path in sorted(others, reverse=True):
            if _has_state(filesystem, path):
                pyarrow.fs.copy_files(path, named, source_filesystem=filesystem, destination_filesystem=filesystem)
                break


def _has_state(filesystem: pyarrow.fs.FileSystem, checkpoint: str) -> bool:
    """Whether the state of an unfinished trial is there, and whole."""
    try:
        with filesystem.open_input_file(f"{checkpoint}/{STATE_FILE}") as file:
            return zipfile.is_zipfile(file)  # which `torch.save` writes, its directory last
    except FileNotFoundError:
        return False


def _run(trial: Trial) -> Run:
    scores = scores_of(trial.last_result) if trial.status == Trial.TERMINATED else None
    return Run(trial.trial_id, trial.config, trial.status in (Trial.TERMINATED, Trial.ERROR), scores)
