"""Files written as a whole, so that a reader never sees half of one."""

from __future__ import annotations

import os
import pathlib
import tempfile

from search.errors import SearchError


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
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = pathlib.Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SearchError(
            f"cannot write {what} file {str(path)!r}: {error.strerror or error}; choose a folder that can be written"
            " with `--output`."
        ) from error
