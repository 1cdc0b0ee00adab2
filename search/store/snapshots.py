"""Copies of Tune's snapshots that are always whole.

Tune writes its snapshot (the state of the trials, of the searcher, of the generator) file by file and in place, first
to a staging folder and from there to the storage. Who reads while it writes, or resumes after the driver was killed in
the middle of it, may find half a file. So the driver puts every finished snapshot aside: into a folder of its own,
complete, before a symbolic link is moved to it in one step.

Only for storage on a file system; object stores replace whole objects anyway.
"""

from __future__ import annotations

import json
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

    def keep(self, staging: pathlib.Path, *, last: bool = False) -> None:
        """Put the snapshot in the staging folder aside, if it has changed since the last call.

        Args:
            staging: Tune's.
            last: the loop has ended. Then Tune only logs what kept it from writing, a full disk say, and may have left
                half a file, which is passed over.
        """
        state = max(staging.glob(_STATE), default=None)
        if state is None:
            return
        stamp = (state.name, state.stat().st_mtime_ns)
        if stamp == self._kept:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._folder / str(max(self._numbers(), default=0) + 1)
        target.mkdir()
        for pattern in _PATTERNS:
            if (newest := max(staging.glob(pattern), default=None)) is not None:
                shutil.copyfile(newest, target / newest.name)
        if last:
            try:
                json.loads((target / state.name).read_text(encoding="utf-8"))
            except ValueError:
                shutil.rmtree(target)
                return
        link = self._folder / f".{_LATEST}"
        link.unlink(missing_ok=True)
        link.symlink_to(target.name)
        latest = self._folder / _LATEST
        followed = self._folder / f"{_LATEST}.followed"
        if latest.is_dir() and not latest.is_symlink():  # in a copy in which links were followed
            os.replace(latest, followed)
        os.replace(link, latest)
        shutil.rmtree(followed, ignore_errors=True)
        self._kept = stamp
        for number in sorted(self._numbers())[:-2]:  # somebody may be reading the last before the newest
            shutil.rmtree(self._folder / str(number), ignore_errors=True)

    def _numbers(self) -> list[int]:
        return [int(path.name) for path in self._folder.iterdir() if path.name.isdigit()]


def puts_aside(folder: pathlib.Path) -> bool:
    """Whether only what was put aside counts here: Tune's own files may be halves."""
    return (folder / _FOLDER).is_dir()


def begin_to_put_aside(folder: pathlib.Path) -> None:
    """From now on only what is put aside counts."""
    (folder / _FOLDER).mkdir(parents=True, exist_ok=True)


def latest_state(folder: pathlib.Path) -> pathlib.Path | None:
    """The newest whole snapshot of the trials' state; None if none was put aside."""
    return max((folder / _FOLDER / _LATEST).resolve().glob(_STATE), default=None)


def put_back(folder: pathlib.Path) -> None:
    """Make the newest whole snapshot the one that Tune will restore from, and the only one.

    Of several Tune takes those whose names, the local times at which sessions began, come last: they may be half
    written, or from before the clock was put back.
    """
    whole = {path.name: path for path in (folder / _FOLDER / _LATEST).resolve().glob("*")}
    if not whole:
        return
    for name, path in whole.items():
        temporary = folder / f".{name}.tmp"
        shutil.copyfile(path, temporary)
        os.replace(temporary, folder / name)
    for other in [path for pattern in _PATTERNS for path in folder.glob(pattern) if path.name not in whole]:
        other.unlink()


def forget_earlier_sessions(staging: pathlib.Path) -> None:
    """Delete what Tune brought from the storage to its staging folder in order to restore from it.

    That is every file of the search's folder that ends in .json or .pkl, ours too. Each snapshot would write them all
    back, in place, and a driver that is killed then, or a full disk, would leave halves.
    """
    for path in staging.glob("*"):
        if path.is_file():
            path.unlink()
