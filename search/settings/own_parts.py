"""Reads the files of the user's own parts of a pictures task, so that their text travels with the search."""

from __future__ import annotations

import pathlib
from typing import Any

from policies.own_file import read_source
from search.errors import SearchError
from search.settings.problems import Problems
from trainables.config import is_own

_PY = ".py"
_NAMED_BY = ("origin", "name", "function")
"""The keys beside `source`, the text of a file, that name what is in it."""


def read_parts(values: dict[str, Any], folder: pathlib.Path, problems: Problems) -> dict[str, Any]:
    """Return a search file's values with the text of the files that students, teacher, data and augmentations name.

    A table that holds a text already, as a stored search has it, stays as it is.

    Args:
        values: the contents of a search file on pictures.
        folder: the folder that the files are relative to.
        problems: receives files that cannot be read or are too long, and names that look like a file and are none.
    """
    values = dict(values)
    _in_table(values, "student", "student", folder, problems, _model)
    _in_table(values, "data", "data", folder, problems, _data)
    _in_table(values, "augmentation", "augmentation", folder, problems, _augmentation)
    if isinstance(teacher := values.get("teacher"), dict):
        values["teacher"] = teacher = dict(teacher)
        _in_table(teacher, "model", "teacher.model", folder, problems, _model)
        _in_table(teacher, "augmentation", "teacher.augmentation", folder, problems, _augmentation)
    space = values.get("space")
    if isinstance(space, dict) and isinstance(students := space.get("students"), dict):
        read = dict(students)
        for name in students:
            _in_table(read, name, f"space.students.{name}", folder, problems, _model)
        values["space"] = {**space, "students": read}
    return values


def without_texts(values: Any) -> Any:
    """Return settings, as plain data, without the texts of the user's files: what reports show has their names only."""
    if isinstance(values, dict):
        left_out = "source" if any(key in values for key in _NAMED_BY) else None
        return {key: without_texts(value) for key, value in values.items() if key != left_out}
    return [without_texts(value) for value in values] if isinstance(values, list) else values


def _in_table(
    values: dict[str, Any], key: str, section: str, folder: pathlib.Path, problems: Problems, read: Any
) -> None:
    table = values.get(key)
    if isinstance(table, dict) and "source" not in table:
        for whole in problems.reading(section, read, table, section, folder):
            values[key] = whole


def _model(table: dict[str, Any], section: str, folder: pathlib.Path) -> dict[str, Any]:
    return _with_text(table, "name", f"{section}.name", folder, what="model", example="my_model.py:TinyNet")


def _data(table: dict[str, Any], section: str, folder: pathlib.Path) -> dict[str, Any]:
    return _with_text(table, "name", f"{section}.name", folder, what="data set", example="my_data.py:load")


def _augmentation(table: dict[str, Any], section: str, folder: pathlib.Path) -> dict[str, Any]:
    return _with_text(table, "function", f"{section}.function", folder, what="augmentation", example="my_views.py:view")


def _with_text(
    table: dict[str, Any], key: str, field: str, folder: pathlib.Path, *, what: str, example: str
) -> dict[str, Any]:
    name = table.get(key)
    if not isinstance(name, str) or _PY not in name:
        return table
    if not is_own(name):
        raise SearchError(
            f"`{field}`: a {what} of your own is given as FILE.py:NAME, like {example}, but got {name!r}."
        )
    origin, source = read_source(name, folder, what=what, example=example)
    return {**table, key: origin, "source": source}
