"""The project's own code, as it travels to a cluster whose nodes have the libraries only."""

from __future__ import annotations

import pathlib

import policies
import search
import trainables


def code_folders() -> list[str]:
    """The folders of the three packages, for `py_modules` of a Ray runtime environment."""
    return [str(pathlib.Path(package.__path__[0])) for package in (policies, trainables, search)]
