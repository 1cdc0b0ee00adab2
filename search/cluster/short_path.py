"""Chooses a folder whose path is short enough for Ray's sockets."""

from __future__ import annotations

import os
import pathlib

from search.errors import ClusterError

_LONGEST = 107
"""The most bytes of a socket's path that Linux takes."""
_BELOW = "/ray/session_2000-01-01_00-00-00_000000_4194304/sockets/plasma_store.10"
"""The longest path below the folder of temporary files that Ray makes a socket at."""
_SHORT = "/tmp"


def temporary_folder() -> str | None:
    """Return the folder for a Ray session, or None where Ray's own choice is short enough.

    Ray takes `RAY_TMPDIR`, or else `TMPDIR`. Batch systems set `TMPDIR` to long paths.

    Raises:
        ClusterError: `RAY_TMPDIR` is too long, or `TMPDIR` is and /tmp cannot be written.
    """
    name = next((name for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), None)
    if name is None or len(os.fsencode(os.environ[name] + _BELOW)) <= _LONGEST:
        return None
    if name == "TMPDIR" and os.access(_SHORT, os.W_OK | os.X_OK):
        return str(pathlib.Path(_SHORT, "ray"))
    raise ClusterError(
        f"`{name}` = {os.environ[name]!r} is too long for Ray, whose sockets lie below it: it must have at most"
        f" {_LONGEST - len(_BELOW)} bytes, but has {len(os.fsencode(os.environ[name]))}. Set RAY_TMPDIR to a short"
        " folder that can be written, such as /tmp."
    )
