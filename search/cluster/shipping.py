"""Finds the project's own code, to send it to a cluster whose nodes have only the libraries."""

from __future__ import annotations

import pathlib

import policies
import search
import trainables


def code_folders() -> list[str]:
    """Return the folders of the three packages, for `py_modules` of a Ray runtime environment."""
    return [str(pathlib.Path(package.__path__[0])) for package in (policies, trainables, search)]
