"""Writes files that are complete or absent, so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a new, empty file to fill within the block; then rename it to `path`, or remove it if the block fails.

    It gets the permissions of any other new file of this process, so that all who share a cache can read it.

    Args:
        path: the final name, in an existing folder; a file of this name is replaced.

    Raises:
        OSError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.part")
    temporary.touch(exist_ok=False)  # `tempfile` would let nobody else read it
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
