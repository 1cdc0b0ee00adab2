"""Who runs a search: whoever holds a lock on a file in its folder."""

from __future__ import annotations

import contextlib
import pathlib

import filelock

_FILE = ".lock"


class SearchLock:
    """The lock of a search's folder, on a file system.

    The folder comes with the lock. It goes with it, too, if nothing else has come into it: a start that failed leaves
    nothing behind.

    Args:
        folder: of the search.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._lock = filelock.FileLock(folder / _FILE)

    def acquire(self, seconds: float) -> None:
        """Take it; whoever has it is given so long to let go.

        Raises:
            filelock.Timeout: they have not.
        """
        while True:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lock.acquire(timeout=seconds)
            except (FileNotFoundError, FileExistsError):
                if self._folder.is_file():
                    raise
                continue  # whoever held it took the folder away meanwhile
            return

    def release(self) -> None:
        """Let it go."""
        unused = self._unused()
        # While it is held, so that nobody comes to hold a file that is not there any more: `filelock` looks whether it
        # is. One without the file system's help is the file itself, which goes with it.
        if unused and not isinstance(self._lock, filelock.SoftFileLock):
            (self._folder / _FILE).unlink(missing_ok=True)
        self._lock.release()
        if unused:
            with contextlib.suppress(OSError):  # somebody else begins here
                self._folder.rmdir()

    def is_held(self) -> bool:
        """Whether somebody holds it."""
        try:
            self.acquire(0)
        except filelock.Timeout:
            return True
        self.release()
        return False

    def _unused(self) -> bool:
        try:
            return all(path.name == _FILE for path in self._folder.iterdir())
        except OSError:
            return False  # it was taken away
