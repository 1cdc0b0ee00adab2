"""Locks a search: the process that runs it holds a lock on a file in its folder."""

from __future__ import annotations

import contextlib
import pathlib

import filelock

from search.store.stopping import STOPPING_FILES

_FILE = ".lock"
_LEFT_BEHIND = {_FILE, *STOPPING_FILES}
"""The names of files that say nothing of a search: a folder with no others is unused."""


class SearchLock:
    """The lock of a search's folder, on a file system.

    The folder is created with the lock. It is deleted with the lock, too, if nothing else is in it, so a start that
    failed leaves nothing behind.

    Args:
        folder: the search's folder.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._lock = filelock.FileLock(folder / _FILE)

    def acquire(self, seconds: float) -> None:
        """Acquire the lock; wait this long for a process that holds it.

        Raises:
            filelock.Timeout: the lock is still held.
        """
        while True:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock.acquire(timeout=seconds)
            except (FileNotFoundError, FileExistsError):
                if self._folder.is_file():
                    raise
                continue  # the process that held it deleted the folder meanwhile
            return

    def release(self) -> None:
        """Release the lock, and delete the folder if nothing else is in it."""
        unused = self._unused()
        # The file is deleted while it is locked, so that no process holds a lock on a deleted file: `filelock` checks
        # that the file exists. A soft lock is the file itself, so its release deletes the file.
        if unused:
            for name in STOPPING_FILES:  # of a process that was killed before anything was stored
                (self._folder / name).unlink(missing_ok=True)
        if unused and not isinstance(self._lock, filelock.SoftFileLock):
            (self._folder / _FILE).unlink(missing_ok=True)
        self._lock.release()
        if unused:
            with contextlib.suppress(OSError):  # another process begins here
                self._folder.rmdir()

    def is_held(self) -> bool:
        """Tell whether a process holds the lock."""
        try:
            self.acquire(0)
        except filelock.Timeout:
            return True
        self.release()
        return False

    def _unused(self) -> bool:
        try:
            return all(path.name in _LEFT_BEHIND for path in self._folder.iterdir())
        except OSError:
            return False  # the folder was deleted
