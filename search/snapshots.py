"""Copies of Tune's snapshots that are always whole.

Tune writes its snapshot (the state of the trials, of the searcher, of the generator) file by file and in place, first
to a staging folder and from there to the storage. Who reads while it writes, or resumes after the driver was killed in
the middle of it, may find half a file. So the driver puts every finished snapshot aside: into a folder of its own,
complete, before a symbolic link is moved to it in one step.

Only for storage on a file system; object stores replace whole objects anyway.
"""

from __future__ import annotations

import os
import pathlib
import shutil

_FOLDER = ".snapshots"
_LATEST = "latest"
_STATE = "experiment_state-*.json"
_PATTERNS = (_STATE, "search_gen_state-*.json", "searcher-state-*.pkl")


class SnapshotKeeper:
    """Puts the snapshots of one search aside. Called between two steps of Tune's loop, when staging is complete.

    Args:
        folder: of the search, on a file system.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder / _FOLDER
        self._kept: tuple[str, int] | None = None

    def keep(self, staging: pathlib.Path) -> None:
        """Put the snapshot in the staging folder aside, if it has changed since the last call."""
        state = max(staging.glob(_STATE), default=None)
        if state is None:
            return
        stamp = (state.name, state.stat().st_mtime_ns)
        if stamp == self._kept:
            return
        target = self._folder / f"{stamp[1]}"
        target.mkdir(parents=True, exist_ok=True)
        for pattern in _PATTERNS:
            if (newest := max(staging.glob(pattern), default=None)) is not None:
                shutil.copyfile(newest, target / newest.name)
        link = self._folder / f".{_LATEST}"
        link.unlink(missing_ok=True)
        link.symlink_to(target.name)
        os.replace(link, self._folder / _LATEST)
        self._kept = stamp
        self._forget_all_but(target)

    def _forget_all_but(self, newest: pathlib.Path) -> None:
        """Delete old snapshots, but the last before the newest, which somebody may be reading."""
        old = sorted((p for p in self._folder.iterdir() if p.name.isdigit()), key=lambda p: int(p.name))
        for folder in old[:-2]:
            if folder != newest:
                shutil.rmtree(folder, ignore_errors=True)


def latest_state(folder: pathlib.Path) -> pathlib.Path | None:
    """The newest whole snapshot of the trials' state; None if none was put aside."""
    return max((folder / _FOLDER / _LATEST).resolve().glob(_STATE), default=None)


def put_back(folder: pathlib.Path) -> None:
    """Make the newest whole snapshot the one that Tune will restore from."""
    for path in (folder / _FOLDER / _LATEST).resolve().glob("*"):
        temporary = folder / f".{path.name}.tmp"
        shutil.copyfile(path, temporary)
        os.replace(temporary, folder / path.name)
