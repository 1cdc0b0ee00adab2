"""Reads decision logs from where a search keeps them: beside each trial's last checkpoint."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence

import pyarrow.fs

from search.records import TrialRecord
from search.store.folder import SearchStore
from trainables.records import DecisionEntry
from trainables.training import DECISIONS_FILE, StoredLog, read_decisions


def decision_reader(store: SearchStore) -> Callable[[TrialRecord], Sequence[DecisionEntry]]:
    """Return a function that reads the entries of a trial's log, for `search.tracking`.

    It returns no entries if the trial has no log. It can be pickled.

    Raises (when called):
        DataError: the file is damaged.
    """
    return functools.partial(_entries, store)


def _entries(store: SearchStore, trial: TrialRecord) -> Sequence[DecisionEntry]:
    log = stored_decisions(store, trial)
    return () if log is None else log.entries


def stored_decisions(store: SearchStore, trial: TrialRecord) -> StoredLog | None:
    """The decision log of a trial, with the entries of all heats that are as far as its first; None if it has none.

    Raises:
        DataError: a file is damaged.
    """
    found = (_newest_log(store, f"{store.folder}/{folder}") for folder in trial.folders)
    logs = [log for log in found if log is not None]
    alike = [log for log in logs if log.context.steps == logs[0].context.steps]
    return _joined(alike) if alike else None


def _joined(logs: Sequence[StoredLog]) -> StoredLog:
    context = logs[0].context._replace(
        seeds=tuple(seed for log in logs for seed in log.context.seeds),
        dropped=sum(log.context.dropped for log in logs),
    )
    return StoredLog(context, tuple(entry for log in logs for entry in log.entries))


def _newest_log(store: SearchStore, folder: str) -> StoredLog | None:
    """Read the log of the newest checkpoint in the folder that has one; None if none has."""
    found = store.filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True))
    # While a trial runs, Tune may delete a checkpoint between the listing and the reading.
    for checkpoint in sorted((info.path for info in found if info.base_name.startswith("checkpoint_")), reverse=True):
        path = f"{checkpoint}/{DECISIONS_FILE}"
        try:
            with store.filesystem.open_input_stream(path) as stream:
                return read_decisions(io.BytesIO(stream.readall()), path)
        except FileNotFoundError:
            continue
    return None
