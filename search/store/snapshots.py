"""Keeps copies of Tune's snapshots that are always whole.

Tune writes its snapshot (the state of the trials, of the searcher, of the generator) file by file and in place. It
writes first to a staging folder, and from there to the storage. A process that reads while Tune writes, or resumes
after the driver was killed meanwhile, may find half a file. So the driver puts every finished snapshot aside: it copies
the snapshot into a folder of its own, and then moves a symbolic link to that folder in one step.

This is for storage on a file system only; object stores replace whole objects anyway.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
from collections.abc import Iterator

_FOLDER = ".snapshots"
_LATEST = "latest"
_STATE = "experiment_state-*.json"
_PATTERNS = (_STATE, "search_gen_state-*.json", "searcher-state-*.pkl")


class SnapshotKeeper:
    """Puts the snapshots of one search aside. It is called between two steps of Tune's loop, when staging is complete.

    Args:
        folder: the search's folder, on a file system.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder / _FOLDER
        self._kept: tuple[str, int] | None = None

    def keep(self, staging: pathlib.Path, *, last: bool = False) -> None:
        """Put the snapshot in the staging folder aside, if it has changed since the last call.

        Args:
            staging: Tune's staging folder.
            last: True if the loop has ended. Then Tune only logs why it could not write, such as a full disk, and may
                have left half a file. Such a snapshot is ignored.
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
        if latest.is_dir() and not latest.is_symlink():  # a copy of the folder for which links were followed
            os.replace(latest, followed)
        os.replace(link, latest)
        shutil.rmtree(followed, ignore_errors=True)
        self._kept = stamp
        for number in sorted(self._numbers())[:-2]:  # a process may be reading the second newest
            shutil.rmtree(self._folder / str(number), ignore_errors=True)

    def _numbers(self) -> list[int]:
        return [int(path.name) for path in self._folder.iterdir() if path.name.isdigit()]


def puts_aside(folder: pathlib.Path) -> bool:
    """Tell whether only snapshots that were put aside count here; Tune's own files may be incomplete."""
    return (folder / _FOLDER).is_dir()


def begin_to_put_aside(folder: pathlib.Path) -> None:
    """Create the folder of copies: from now on only snapshots that were put aside count."""
    (folder / _FOLDER).mkdir(parents=True, exist_ok=True)


def has_state(folder: pathlib.Path) -> bool:
    """Tell whether a snapshot was put aside, whole or not."""
    return next(_states(folder), None) is not None


def latest_state(folder: pathlib.Path) -> pathlib.Path | None:
    """The newest whole snapshot of the trials' state; None if none was put aside.

    Trials that ended after it have files of their own, so an older one is as good if a disk has damaged the newest. If
    all are damaged, the newest is returned.
    """
    return next(filter(_is_whole, _states(folder)), next(_states(folder), None))


def _states(folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yield the states of the trials that were put aside, newest first."""
    latest = (folder / _FOLDER / _LATEST).resolve()
    others = [path for path in (folder / _FOLDER).glob("*") if path.name.isdigit() and path.resolve() != latest]
    for kept in (latest, *sorted(others, key=lambda path: int(path.name), reverse=True)):
        if (state := max(kept.glob(_STATE), default=None)) is not None:
            yield state


def _is_whole(state: pathlib.Path) -> bool:
    try:
        return "trial_data" in json.loads(state.read_bytes())
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def put_back(folder: pathlib.Path) -> None:
    """Make the newest whole snapshot the one that Tune will restore from, and the only one.

    If there are several, Tune uses the files whose names come last. The names are the local times at which sessions
    began. Such files may be incomplete, or date from before the clock was set back.
    """
    if (state := latest_state(folder)) is None:
        return
    whole = {path.name: path for path in state.parent.glob("*")}
    for name, path in whole.items():
        temporary = folder / f".{name}.tmp"
        shutil.copyfile(path, temporary)
        os.replace(temporary, folder / name)
    for other in [path for pattern in _PATTERNS for path in folder.glob(pattern) if path.name not in whole]:
        other.unlink()


def forget_earlier_sessions(staging: pathlib.Path) -> None:
    """Delete the files that Tune copied from the storage to its staging folder to restore from them.

    These are all files of the search's folder that end in .json or .pkl, ours too. Each snapshot would write all of
    them back in place. A driver that is killed meanwhile, or a full disk, would leave incomplete files.
    """
    for path in staging.glob("*"):
        if path.is_file():
            path.unlink()
