"""Keeps a small file in the folder of each of Tune's trials: it records that the trial began, and how it ended.

A snapshot of a search grows with its trials, so Tune takes one only now and then. A trial's file records what became of
it since then. That takes two small writes a trial, however many trials there are. No trial that ended is lost with the
driver.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
from typing import Any, NamedTuple

import ray
from ray.tune.experiment import Trial

from search.errors import SearchError
from search.store import earlier_names as earlier_names  # states that earlier versions stored name their modules
from search.store.files import checkpoints_in, read_in, replace_in
from search.store.folder import SearchStore

TRIAL_FILE = "trial.json"


class TrialState(NamedTuple):
    """One of Tune's trials as Tune stores it: two JSON texts."""

    state: str
    metadata: str

    def check(self) -> None:
        """Raise ValueError or TypeError if the texts are not those of a trial."""
        state, metadata = json.loads(self.state), json.loads(self.metadata)
        if not isinstance(state, dict) or not isinstance(metadata, dict) or not {"trial_id", "status"} <= state.keys():
            raise ValueError("it lacks the identifier or the status of a trial")

    @property
    def trial_id(self) -> str:
        """Tune's identifier of the trial."""
        return str(json.loads(self.state)["trial_id"])

    @property
    def ended(self) -> bool:
        """True if the trial came to its end, by itself or by an error; False if Tune stopped it before."""
        status = json.loads(self.state)["status"]
        if status != "TERMINATED":
            return bool(status == "ERROR")
        return bool((json.loads(self.metadata).get("last_result") or {}).get("done"))

    def as_left(self) -> TrialState:
        """Return the state from which Tune resumes the trial: pending, unless it has ended."""
        return self if self.ended else self._replace(state=json.dumps({**json.loads(self.state), "status": "PENDING"}))

    def trial(self) -> Trial:
        """Return the trial as an object of Tune's, which cannot be run.

        Raises:
            SearchError: Tune cannot read it.
        """
        try:
            trial = Trial.from_json_state(self.state, stub=True)
            trial.restore_run_metadata(self.metadata)
        except Exception as error:  # these are pickles, whose damage may raise anything
            raise SearchError(
                f"the stored state of trial {self.trial_id} is damaged ({type(error).__name__}: {error}). Delete its"
                f" folder, whose name ends in -{self.trial_id}; the trial is then run again."
            ) from error
        return trial


def note_trial(trial: Any) -> None:
    """Write the state of one of Tune's trials into the trial's folder, and its error if it failed.

    Tune itself copies the error there only with its next snapshot.

    Raises:
        OSError: the storage cannot be written.
    """
    storage = trial.storage
    filesystem, folder = storage.storage_filesystem, storage.trial_fs_path
    filesystem.create_dir(folder, recursive=True)
    if (error := read_error(trial)) is not None:
        replace_in(filesystem, f"{folder}/{trial.run_metadata.error_filename}", error.encode())
    replace_in(filesystem, f"{folder}/{TRIAL_FILE}", json.dumps(trial.get_json_state()).encode())


def read_error(trial: Any) -> str | None:
    """Return all errors of one of Tune's trials as Tune writes them; None if it had none, or if they were lost.

    Tune writes them on the driver's disk at once, and into the storage with its next snapshot.
    """
    name, storage = trial.run_metadata.error_filename, trial.storage
    if not name:
        return None
    with contextlib.suppress(OSError):
        if ray.is_initialized():  # else Tune cannot name the place, and the error is in the storage
            return pathlib.Path(storage.trial_driver_staging_path, name).read_text(encoding="utf-8", errors="replace")
    with contextlib.suppress(OSError):
        return read_in(storage.storage_filesystem, f"{storage.trial_fs_path}/{name}").decode(errors="replace")
    return None


def drop_older_checkpoints(trial: Any) -> None:
    """Delete all checkpoints of an ended trial but the last.

    Raises:
        OSError: the storage cannot be written.
    """
    if trial.checkpoint is None:
        return
    last = trial.checkpoint.path.rpartition("/")[2]
    if last == "checkpoint_000000":
        return
    filesystem = trial.storage.storage_filesystem
    for path in checkpoints_in(filesystem, trial.storage.trial_fs_path):
        if path.rpartition("/")[2] != last:
            filesystem.delete_dir(path)


def trial_states(store: SearchStore) -> list[TrialState]:
    """All trials of a search, from the newest snapshot, or from their own files where these are newer.

    Raises:
        SearchError: there is no snapshot, or a file is damaged.
    """
    states = snapshot_states(store)
    for folder in store.trial_folders():
        trial_id = folder.rpartition("-")[2]
        known = states.get(trial_id)
        if known is None or not known.ended:
            noted = _read(store, folder)
            if noted is not None and (known is None or noted.ended):
                states[trial_id] = noted
    return list(states.values())


def snapshot_states(store: SearchStore) -> dict[str, TrialState]:
    """The trials in the newest snapshot, by Tune's identifier.

    Raises:
        SearchError: there is no snapshot, or it is damaged.
    """
    try:
        states = [TrialState(*pair) for pair in json.loads(store.read_snapshot())["trial_data"]]
        for state in states:
            state.check()
        return {state.trial_id: state for state in states}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SearchError(f"{store.snapshot_path()} is damaged: {error}. Put back a copy of it.") from error


def has_ended(store: SearchStore, folder: str) -> bool:
    """Tell whether a trial's own file says that it ended; False if the file is damaged."""
    try:
        noted = _read(store, folder)
    except SearchError:
        return False
    return noted is not None and noted.ended


def _read(store: SearchStore, folder: str) -> TrialState | None:
    path = f"{store.folder}/{folder}/{TRIAL_FILE}"
    try:
        noted = TrialState(*json.loads(store.read_bytes(path)))
        noted.check()
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise SearchError(f"{path} is damaged: {error}. Delete its folder; the trial is then run again.") from error
    return noted
