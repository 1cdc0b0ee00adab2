"""Writes files of searches as a whole, so that a reader never sees half of one."""

from __future__ import annotations

import pathlib
import tempfile

import pyarrow.fs

from search.errors import SearchError
from trainables.files import whole_file

_OBJECT_STORES = frozenset({"s3", "gcs", "abfs"})
"""File systems that always show whole objects, and that move an object by copying it."""


def check_creatable(folder: pathlib.Path) -> None:
    """Make sure that files can be created in a folder, by creating a file and deleting it.

    Permissions alone do not show this: root is never refused, but cannot create files in /proc or on a read-only mount.

    Args:
        folder: the folder. If it does not exist, its nearest parent is checked, and it is not created.

    Raises:
        OSError: no file can be created.
    """
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    with tempfile.NamedTemporaryFile(dir=there, prefix=".kd-search-"):
        pass


def replace_file(path: pathlib.Path, content: bytes, *, what: str) -> None:
    """Write a file in one step, with its folder.

    Args:
        path: the file.
        content: all of it.
        what: whose file it is, for the message: `the report's`.

    Raises:
        SearchError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise SearchError(
            f"cannot write {what} file {str(path)!r}: {error.strerror or error}; choose a folder that can be written"
            " with `--output`."
        ) from error


def infos_in(filesystem: pyarrow.fs.FileSystem, folder: str) -> list[pyarrow.fs.FileInfo]:
    """Return what is in a folder of a storage; nothing if there is no such folder."""
    return list(filesystem.get_file_info(pyarrow.fs.FileSelector(folder, allow_not_found=True)))


def checkpoints_in(filesystem: pyarrow.fs.FileSystem, folder: str) -> list[str]:
    """Return the paths of the checkpoints in the folder of one of Tune's trials, the newest first."""
    infos = infos_in(filesystem, folder)
    return sorted((info.path for info in infos if info.base_name.startswith("checkpoint_")), reverse=True)


def read_in(filesystem: pyarrow.fs.FileSystem, path: str) -> bytes:
    """Read a file of a storage.

    Raises:
        OSError: it cannot be read; FileNotFoundError if it is not there.
    """
    with filesystem.open_input_stream(path) as stream:
        return bytes(stream.readall())


def replace_in(filesystem: pyarrow.fs.FileSystem, path: str, content: bytes) -> None:
    """Write a file of a storage in one step; its folder must exist.

    Raises:
        OSError: it cannot be written.
    """
    at_once = filesystem.type_name in _OBJECT_STORES
    folder, _, name = path.rpartition("/")
    written = path if at_once else f"{folder}/.{name}.tmp"
    with filesystem.open_output_stream(written) as stream:
        stream.write(content)
    if not at_once:
        filesystem.move(written, path)
