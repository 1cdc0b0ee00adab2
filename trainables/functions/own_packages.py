"""Lets a fork server and its processes find this project's packages, whatever files lie in the user's folder."""

from __future__ import annotations

import contextlib
import os
import pathlib
import sys
from collections.abc import Iterator

import trainables

FOLDER = str(pathlib.Path(trainables.__file__).absolute().parents[1])
_SAFE_PATH = "PYTHONSAFEPATH"
"""Keeps Python from looking for modules in the working folder first."""


@contextlib.contextmanager
def own_packages_first() -> Iterator[None]:
    """Put the project's packages before a user's files of their names in processes that start within the block.

    Such a process must call `drop_own_folder` once it has begun.
    """
    given = os.environ.get(_SAFE_PATH)
    os.environ[_SAFE_PATH] = "1"
    sys.path.insert(0, FOLDER)
    try:
        yield
    finally:
        sys.path.remove(FOLDER)
        if given is None:
            del os.environ[_SAFE_PATH]
        else:
            os.environ[_SAFE_PATH] = given


def drop_own_folder() -> None:
    """Give the user's folder its place in the path back; the packages have been imported."""
    with contextlib.suppress(ValueError):
        sys.path.remove(FOLDER)
