"""Prepares a killed search for Tune to restore: its newest whole snapshot, and what happened after it."""

from __future__ import annotations

import copy
import json
import pathlib
import zipfile
from collections.abc import Iterable

import pyarrow.fs
from ray import cloudpickle
from ray.tune.experiment import Trial

from search.errors import SearchError
from search.plan import Run, dump_runs, scores_of
from search.store.files import checkpoints_in, replace_in
from search.store.folder import SearchStore
from search.store.snapshots import SnapshotKeeper, begin_to_put_aside, forget_earlier_sessions, put_back, puts_aside
from search.store.trial_files import TrialState, has_ended, trial_states
from trainables.trial import STATE_FILE

_OF_THE_SESSION = ("_cached_trial_decisions", "_queued_trial_decisions", "_max_pending_trials")
"""Entries that Tune would restore from a snapshot, although they belong to the run that wrote it. They are decisions
that waited for a checkpoint of that run, and how many workers start at a time on its machines. Without them Tune uses
those of the new run."""


def recover(store: SearchStore) -> list[TrialState]:
    """Bring Tune's files in a search's folder up to date, before Tune reads them.

    Trials that ended after the last snapshot count as ended. Trials that began after it are resumed. The searcher is
    rebuilt from all of them.

    Returns:
        The trials as Tune will find them.

    Raises:
        SearchError: the search has no snapshot, or a file is damaged.
    """
    if (folder := store.local_folder) is not None:
        if not puts_aside(folder):  # perhaps a copy without hidden files
            SnapshotKeeper(folder).keep(folder)
        put_back(folder)
    states = [state.as_left() for state in trial_states(store)]
    mend_checkpoints(store, states)
    _let_search_continue(store)
    searcher_path, snapshot_path = store.newest("searcher-state-"), store.newest("experiment_state-")
    snapshot = json.loads(store.read_bytes(snapshot_path))
    snapshot["trial_data"] = states
    for name in _OF_THE_SESSION:
        snapshot["runner_data"].pop(name, None)
    # The searcher first: if it alone is written, and so knows more trials than Tune, the next recovery corrects it.
    replace_in(store.filesystem, searcher_path, dump_runs(_run(state.trial()) for state in states))
    replace_in(store.filesystem, snapshot_path, json.dumps(snapshot).encode())
    return states


def _let_search_continue(store: SearchStore) -> None:
    """Let Tune ask the searcher again, which had no further trial before the search grew."""
    try:
        path = store.newest("search_gen_state-")
    except SearchError:
        return  # then Tune was never told that there is none
    state = cloudpickle.loads(store.read_bytes(path))
    if state["finished"]:
        replace_in(store.filesystem, path, cloudpickle.dumps({**state, "finished": False}))


def cleared_staging(store: SearchStore, states: list[TrialState]) -> pathlib.Path | None:
    """Clear the folder to which Tune will copy what it restores from, and return it; None if there is no trial.

    Ray must be running. On a cluster Ray outlives a driver, so the folder may hold files of a driver that was killed.
    These may be newer than the search's own, and Tune would use them. They are deleted.

    Args:
        store: the search's store.
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
    """Delete the trials of a search that was killed before its first snapshot.

    New trials get their numbers; beside these, the old ones would be trials that never end.

    Raises:
        SearchError: a trial has ended, so there must have been a snapshot.
    """
    folders = store.trial_folders()
    if ended := [folder for folder in folders if has_ended(store, folder)]:
        raise SearchError(
            f"the search {store.name!r} has no snapshot to resume from, but trials that ended, such as {ended[0]!r}."
            f" If {store.uri!r} is a copy, its link `.snapshots/latest` was left out: copy it again with `cp -a`."
            " Otherwise begin a search of another name: --set name=…"
        )
    for folder in folders:
        store.filesystem.delete_dir(f"{store.folder}/{folder}")
    if store.local_folder is not None:
        begin_to_put_aside(store.local_folder)


def mend_checkpoints(store: SearchStore, states: Iterable[TrialState]) -> None:
    """Make sure that every trial that is resumed has a checkpoint to resume from.

    The checkpoint that a snapshot names may have been replaced by newer ones before the next snapshot. Or it is that of
    the trial's end, and the end was not recorded. Then the newest checkpoint with an unfinished trial's state takes its
    place. If there is none, an empty one does, with which the trial starts anew.
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
        found = checkpoints_in(filesystem, folder)
        filesystem.create_dir(named, recursive=True)
        filesystem.delete_dir_contents(named)
        whole = next((path for path in found if _has_state(filesystem, path)), None)
        if whole is not None:
            pyarrow.fs.copy_files(whole, named, source_filesystem=filesystem, destination_filesystem=filesystem)


def _has_state(filesystem: pyarrow.fs.FileSystem, checkpoint: str) -> bool:
    """Tell whether the state of an unfinished trial is there, and whole."""
    try:
        with filesystem.open_input_file(f"{checkpoint}/{STATE_FILE}") as file:
            return zipfile.is_zipfile(file)  # the format of `torch.save`, which writes the directory last
    except FileNotFoundError:
        return False


def _run(trial: Trial) -> Run:
    scores = scores_of(trial.last_result) if trial.status == Trial.TERMINATED else None
    return Run(trial.trial_id, trial.config, trial.status in (Trial.TERMINATED, Trial.ERROR), scores)
