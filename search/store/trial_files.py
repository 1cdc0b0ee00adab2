"""Each of Tune's trials as a small file in its own folder tells it: that it was begun, and how it ended.

A snapshot of a search grows with its trials, so Tune takes one now and then only. What became of a trial since then
stands in its file: two small writes a trial, however many there are, and nothing that ended is lost with the driver.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pyarrow.fs
from ray.tune.experiment import Trial

from search.errors import SearchError
from search.store.files import replace_in
from search.store.folder import SearchStore

TRIAL_FILE = "trial.json"
CHECKPOINT = "checkpoint_"


class TrialState(NamedTuple):
    """One of Tune's trials as Tune stores it: two JSON texts."""

    state: str
    metadata: str

    @property
    def trial_id(self) -> str:
        """Tune's."""
        return str(json.loads(self.state)["trial_id"])

    @property
    def ended(self) -> bool:
        """Whether it came to its end, by itself or by an error; one that Tune stopped before did not."""
        status = json.loads(self.state)["status"]
        return status == "ERROR" or (status == "TERMINATED" and self._done)

    @property
    def _done(self) -> bool:
        return bool((json.loads(self.metadata).get("last_result") or {}).get("done"))

    def as_left(self) -> TrialState:
        """As Tune goes on with it: what has not ended waits."""
        return self if self.ended else self._replace(state=json.dumps({**json.loads(self.state), "status": "PENDING"}))

    def trial(self) -> Trial:
        """As an object of Tune's, which cannot be run."""
        trial = Trial.from_json_state(self.state, stub=True)
        trial.restore_run_metadata(self.metadata)
        return trial


def note_trial(trial: Any) -> None:
    """Write what is known of a trial of Tune's into its folder.

    Raises:
        OSError: the storage cannot be written.
    """
    storage = trial.storage
    filesystem, folder = storage.storage_filesystem, storage.trial_fs_path
    filesystem.create_dir(folder, recursive=True)
    replace_in(filesystem, f"{folder}/{TRIAL_FILE}", json.dumps(trial.get_json_state()).encode())


def drop_older_checkpoints(trial: Any) -> None:
    """Delete what the last checkpoint of an ended trial replaces.

    Raises:
        OSError: the storage cannot be written.
    """
    if trial.checkpoint is None:
        return
    last = trial.checkpoint.path.rpartition("/")[2]
    if last == f"{CHECKPOINT}{0:06d}":
        return
    filesystem, folder = trial.storage.storage_filesystem, trial.storage.trial_fs_path
    for found in filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True)):
        if found.base_name.startswith(CHECKPOINT) and found.base_name != last:
            filesystem.delete_dir(found.path)


def trial_states(store: SearchStore) -> list[TrialState]:
    """All trials of a search: as the newest snapshot has them, or as their own files do where these are newer.

    Raises:
        SearchError: there is no snapshot, or a file is damaged.
    """
    return list(merge(store, snapshot_states(store)).values())


def snapshot_states(store: SearchStore) -> dict[str, TrialState]:
    """By Tune's id, the trials in the newest snapshot.

    Raises:
        SearchError: there is none.
    """
    states = (TrialState(*pair) for pair in json.loads(store.read_snapshot())["trial_data"])
    return {state.trial_id: state for state in states}


def merge(store: SearchStore, states: dict[str, TrialState]) -> dict[str, TrialState]:
    """A snapshot's trials brought up to date: those that ended since, and those that are new to it."""
    merged = dict(states)
    for folder in store.trial_folders():
        trial_id = folder.rpartition("-")[2]
        known = states.get(trial_id)
        if known is not None and known.ended:
            continue
        noted = _read(store, folder)
        if noted is not None and (known is None or noted.ended):
            merged[trial_id] = noted
    return merged


def has_ended(store: SearchStore, folder: str) -> bool:
    """Whether a trial's own file says that it ended; what is damaged says nothing."""
    try:
        noted = _read(store, folder)
    except SearchError:
        return False
    return noted is not None and noted.ended


def _read(store: SearchStore, folder: str) -> TrialState | None:
    path = f"{store.folder}/{folder}/{TRIAL_FILE}"
    try:
        return TrialState(*json.loads(store.read_text(path)))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise SearchError(f"{path} is damaged: {error}. Delete its folder; the trial is then run again.") from error
