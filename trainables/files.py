"""Files that are whole or absent, so that a reader never sees half of one."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A new, empty file to be filled within the block, which bears the name `path` after it; gone if the block fails.

    It may be read by whom the process lets read its new files, as any other: whoever shares a cache is to find it.

    Args:
        path: in a folder that exists; what is there already is replaced.

    Raises:
        OSError: it cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{secrets.token_hex(8)}.part")
    temporary.touch(exist_ok=False)  # `tempfile` would keep it from everybody else
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
