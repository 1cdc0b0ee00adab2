"""Reads and writes a search's folder: Tune's storage, the one truth of a search, and a small file that describes it.

The folder may lie anywhere that pyarrow reaches (a local or shared folder, `s3://`, `gs://`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import filelock
import pyarrow
import pyarrow.fs

from search.errors import SearchError, nearest
from search.records import SearchRecord
from search.settings import Launch, SearchConfig, next_command, without_password
from search.store.files import infos_in, read_in, replace_in
from search.store.lock import SearchLock
from search.store.snapshots import has_state, latest_state, puts_aside
from trainables.errors import ConfigError

SEARCH_FILE = "search.json"
_SNAPSHOT = "experiment_state-"
_TRIAL_FOLDER = re.compile(r"\d{4,}-")
_ELSEWHERE = " If it is elsewhere, give that place with `--output` or `--storage`."
_SECONDS_TO_LET_GO = 2.0  # a process that only checks the lock holds it for a moment
_FORMAT = 2
_READABLE = (1, 2)
"""1: proposals depended on the order in which trials ended, so such a search can be read but not resumed."""
_NOT_IN_HEADER = {"trials", "left_out"}


class SearchStore:
    """The folder of one search.

    Args:
        storage: the folder or URI that holds searches.
        name: the search's name.

    Raises:
        SearchError: the storage's URI cannot be understood or reached.
    """

    def __init__(self, storage: str, name: str) -> None:
        self.storage = storage
        self.name = name
        self.filesystem, root = _open(storage)
        self.folder = f"{root.rstrip('/')}/{name}"

    @property
    def uri(self) -> str:
        """The folder's absolute path or URI; options of the storage's URI, after its question mark, stay last."""
        if "://" not in self.storage:
            return self.folder
        place, mark, options = self.storage.partition("?")
        return f"{place.rstrip('/')}/{self.name}{mark}{options}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the search's lock within the block, so that no other process runs the search.

        Only a file system has the lock; object stores have none.

        Raises:
            SearchError: another process runs it already, or its folder cannot be written.
        """
        folder = self.local_folder
        if folder is None:
            yield
            return
        lock = SearchLock(folder)
        try:
            lock.acquire(_SECONDS_TO_LET_GO)
        except filelock.Timeout as error:
            raise SearchError(
                f"the search {self.name!r} is running already, from here or from another machine that shares"
                f" {self.storage!r}. Wait for it or stop it; `{next_command('status', self.name, self.storage)}` shows"
                " its progress."
            ) from error
        except OSError as error:
            raise SearchError(
                f"the search {self.name!r} cannot be locked: {error}. Make {str(folder)!r} writable, or copy it to a"
                " folder that you may write to."
            ) from error
        try:
            yield
        finally:
            lock.release()

    def is_running(self) -> bool | None:
        """Tell whether a process runs the search; None if that cannot be found out."""
        folder = self.local_folder
        if folder is None:
            return None
        try:
            return SearchLock(folder).is_held()
        except OSError:  # the folder of another user, which can only be read
            return None

    def exists(self) -> bool:
        """Tell whether the search has begun.

        Raises:
            SearchError: the storage cannot be read.
        """
        try:
            info = self.filesystem.get_file_info(f"{self.folder}/{SEARCH_FILE}")
        except (OSError, pyarrow.ArrowException) as error:  # every command looks here first
            raise SearchError(
                f"`--storage` {self.storage!r} cannot be read: {error}. Make it readable, or give another place."
            ) from error
        return bool(info.type == pyarrow.fs.FileType.File)

    @property
    def local_folder(self) -> pathlib.Path | None:
        """The folder on a file system; None in an object store."""
        return pathlib.Path(self.folder) if isinstance(self.filesystem, pyarrow.fs.LocalFileSystem) else None

    def has_snapshot(self) -> bool:
        """Tell whether Tune has saved anything to resume from."""
        folder = self._put_aside()
        return has_state(folder) if folder is not None else self._newest(_SNAPSHOT) is not None

    def read_snapshot(self) -> str:
        """The newest state of the trials, as Tune's JSON.

        Raises:
            SearchError: there is none.
        """
        return self.read_bytes(self.snapshot_path()).decode()

    def snapshot_path(self) -> str:
        """Return the path of the newest state of the trials.

        Raises:
            SearchError: there is none.
        """
        return self._saved(self._snapshot())

    def newest(self, prefix: str) -> str:
        """The path of the newest of Tune's own files of a kind.

        Raises:
            SearchError: there is none.
        """
        return self._saved(self._newest(prefix))

    def _snapshot(self) -> str | None:
        folder = self._put_aside()
        if folder is None:
            return self._newest(_SNAPSHOT)
        state = latest_state(folder)
        return None if state is None else str(state)

    def _put_aside(self) -> pathlib.Path | None:
        """The search's folder, if the snapshots that count are those that were put aside there."""
        folder = self.local_folder
        return folder if folder is not None and puts_aside(folder) else None

    def _newest(self, prefix: str) -> str | None:
        names = [name for name in self._names() if name.startswith(prefix)]
        return f"{self.folder}/{max(names)}" if names else None

    def _saved(self, path: str | None) -> str:
        if path is None:
            raise SearchError(f"the search {self.name!r} has saved no trials yet.")
        return path

    def trial_folders(self) -> list[str]:
        """The names of the folders that Tune's trials have begun, in the order of their numbers."""
        return sorted(name for name in self._names() if _TRIAL_FOLDER.match(name))

    def write_header(self, record: SearchRecord, launch: Launch) -> None:
        """Write the file that says what the search is and where it is tracked, in place of an earlier one."""
        header = record.model_dump(mode="json", exclude=_NOT_IN_HEADER)
        header.update(format=_FORMAT, tracking_uri=without_password(launch.tracking_uri), experiment=launch.experiment)
        self.filesystem.create_dir(self.folder, recursive=True)
        content = json.dumps(header, indent=2, ensure_ascii=False).encode()
        replace_in(self.filesystem, f"{self.folder}/{SEARCH_FILE}", content)

    def read_header(self) -> dict[str, Any]:
        """Read what `write_header` wrote.

        Raises:
            SearchError: no search of this name has begun here, or its file is damaged.
        """
        if not self.exists():
            known = searches_in(self.storage)
            raise SearchError(
                f"there is no search {self.name!r} in {self.storage!r}; searches there:"
                f" {', '.join(known) or 'none'}.{nearest(self.name, known) or _ELSEWHERE}"
            )
        try:
            header: dict[str, Any] = json.loads(self.read_bytes(f"{self.folder}/{SEARCH_FILE}"))
        except ValueError as error:
            raise SearchError(f"{self.uri}/{SEARCH_FILE} is damaged: {error}.") from error
        if header.get("format") not in _READABLE:
            raise SearchError(
                f"{self.uri}/{SEARCH_FILE} has format {header.get('format')!r}, but this release reads"
                f" {' and '.join(map(str, _READABLE))}; use the release that ran the search."
            )
        return header

    def tracked_launch(self, launch: Launch, tracking_uri: str | None = None, experiment: str | None = None) -> Launch:
        """Return a launch with the MLflow store and experiment that the search began with, unless others are given.

        Raises:
            SearchError: as `read_header`.
        """
        header = self.read_header()
        uri, experiment = tracking_uri or header["tracking_uri"], experiment or header["experiment"]
        anew = (without_password(uri), experiment) != (header["tracking_uri"], header["experiment"])
        return dataclasses.replace(launch.tracked_at(uri, experiment), tracked_anew=anew)

    def header_record(self) -> SearchRecord:
        """The search without its trials."""
        header = self.read_header()
        known = {key: header[key] for key in SearchRecord.model_fields.keys() - _NOT_IN_HEADER if key in header}
        try:
            return SearchRecord.parse(known)
        except ConfigError as error:
            raise SearchError(
                f"the settings of the search {self.name!r}, in {self.uri}/{SEARCH_FILE}, cannot be read by this"
                f" release: {error} Use the release that ran the search."
            ) from error

    def config(self) -> SearchConfig:
        """The search's settings."""
        return self.header_record().config

    def check_resumable(self) -> None:
        """Make sure that this release can propose the trials that are still to come.

        Raises:
            SearchError: an earlier release began the search, and proposed trials in another way.
        """
        if self.read_header()["format"] != _FORMAT:
            raise SearchError(
                f"the search {self.name!r} was begun by an earlier release, whose proposals depended on the order in"
                " which trials ended, so this one cannot resume it. Resume it with the release that began it, or begin"
                " a search of another name: --set name=…; `report`, `confirm` and `sync` read it as it is."
            )

    def read_bytes(self, path: str) -> bytes:
        """Read a file of the storage's file system."""
        return read_in(self.filesystem, path)

    def _names(self) -> list[str]:
        return [info.base_name for info in infos_in(self.filesystem, self.folder)]


def searches_in(storage: str) -> list[str]:
    """The names of the searches that have begun in a storage."""
    filesystem, root = _open(storage)
    folders = [info.path for info in infos_in(filesystem, root) if info.type == pyarrow.fs.FileType.Directory]
    files = filesystem.get_file_info([f"{folder}/{SEARCH_FILE}" for folder in folders]) if folders else []
    return sorted(
        pathlib.PurePosixPath(info.path).parent.name for info in files if info.type == pyarrow.fs.FileType.File
    )


def _open(storage: str) -> tuple[pyarrow.fs.FileSystem, str]:
    if "://" not in storage:
        return pyarrow.fs.LocalFileSystem(), str(pathlib.Path(storage).absolute())
    try:
        filesystem, root = pyarrow.fs.FileSystem.from_uri(storage)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]  # the error of a missing library lists every place that was tried
        raise SearchError(
            f"`--storage` {storage!r} cannot be opened: {reason}. Give a folder or an s3:// URI."
        ) from error
    if not root:
        raise SearchError(
            f"`--storage` {storage!r} names no bucket; give one, and best a folder in it: {storage}bucket/searches."
        )
    return filesystem, str(root)
