"""Reads decision logs from where a search keeps them: beside each trial's last checkpoint."""

from __future__ import annotations

import contextlib
import functools
import io
from collections.abc import Callable, Sequence

from search.records import TrialRecord
from search.store.files import checkpoints_in
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
    if not logs:
        return None
    alike = [log for log in logs if log.context.steps == logs[0].context.steps]
    context = logs[0].context._replace(
        seeds=tuple(seed for log in alike for seed in log.context.seeds),
        dropped=sum(log.context.dropped for log in alike),
    )
    return StoredLog(context, tuple(entry for log in alike for entry in log.entries))


def _newest_log(store: SearchStore, folder: str) -> StoredLog | None:
    """Read the log of the newest checkpoint in the folder that has one; None if none has."""
    # While a trial runs, Tune may delete a checkpoint between the listing and the reading.
    for checkpoint in checkpoints_in(store.filesystem, folder):
        path = f"{checkpoint}/{DECISIONS_FILE}"
        with contextlib.suppress(FileNotFoundError):
            return read_decisions(io.BytesIO(store.read_bytes(path)), path)
    return None
