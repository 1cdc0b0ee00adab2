"""Decision logs where a search keeps them: beside each trial's last checkpoint."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pyarrow.fs

from search.records import TrialRecord
from search.store import SearchStore
from trainables.decision_log import DECISIONS_FILE, StoredLog, read_decisions
from trainables.records import DecisionEntry


def decision_reader(store: SearchStore) -> Callable[[TrialRecord], Sequence[DecisionEntry]]:
    """For `search.tracking`: the entries of a trial's log; none if it has no log.

    Raises (when called):
        DataError: the file is damaged.
    """

    def read(trial: TrialRecord) -> Sequence[DecisionEntry]:
        log = stored_decisions(store, trial)
        return () if log is None else log.entries

    return read


def stored_decisions(store: SearchStore, trial: TrialRecord) -> StoredLog | None:
    """The decision log in the trial's newest checkpoint that has one; None if none has.

    Raises:
        DataError: the file is damaged.
    """
    folder = f"{store.folder}/{trial.folder}"
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
