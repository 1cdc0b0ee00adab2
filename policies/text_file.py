"""Reads text files that users name, of which any may be something else."""

from __future__ import annotations

import errno
import os
import pathlib
import stat

MOST_BYTES = 16_000_000
"""The size above which a file is taken for something else, such as a device that never ends."""
_SHELLS_OWN = ("/dev/fd/", "/dev/stdin", "/proc/")
"""The beginnings of paths by which a shell gives a program's output in place of a file."""


def read_user_bytes(path: str | pathlib.Path) -> bytes:
    """Read a file that a user names.

    Raises:
        OSError: the file cannot be read, has more than 16 MB, or is a named pipe, which would be waited for without
            end.
    """
    name = os.fspath(path)
    if stat.S_ISFIFO(os.stat(name).st_mode) and not name.startswith(_SHELLS_OWN):
        raise OSError(errno.EINVAL, "it is a named pipe, not a file", name)
    with pathlib.Path(name).open("rb") as opened:
        content = opened.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {MOST_BYTES // 10**6} MB", name)
    return content


def read_user_text(path: str | pathlib.Path) -> str:
    """Read a file that a user names as UTF-8, with or without a byte order mark, which some editors write.

    Raises:
        OSError: as `read_user_bytes`.
        UnicodeDecodeError: the file is not UTF-8.
    """
    return read_user_bytes(path).decode("utf-8-sig").replace("\r\n", "\n")
