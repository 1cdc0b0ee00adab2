"""Describes the tasks and loads them: which data they are, where the labels come from, and what the teacher is."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import pathlib
import tomllib
from typing import NamedTuple

from trainables.tasks import Task

FOLDER = pathlib.Path(__file__).parent
ABSENT = (ImportError, OSError)
"""A task raises these if its data are absent: the package, the file or the program is missing."""


class Description(NamedTuple):
    """A task in words."""

    data: str
    labels: str
    taught_by: str


TASKS = {
    "segment": Description("table", "few, clean", "support vector machine that saw 6 times as many"),
    "diamonds": Description("table", "graders' opinions", "logistic regression on as many"),
    "visits": Description("table", "counts, noisy by nature", "forest that saw twice as many"),
    "bikes": Description("regression", "few days of counts", "boosted trees that saw 5 times as many"),
    "stress": Description("tokens, masked", "few, editors' opinions", "wider network that saw 16 times as many"),
    "languages": Description("text", "few, clean", "naive Bayes that saw 25 times as many"),
    "sections": Description("text", "maintainers' opinions", "naive Bayes that saw half as many"),
    "ratings": Description("text", "one annotator each", "logistic regression on the mean of ten annotators"),
    "vowels": Description("audio features", "few, clean", "support vector machine that saw 3 times as many"),
    "fashion": Description("pictures", "few, clean", "forest that saw 10 times as many"),
}
"""Name -> description, in the order of the table. `NAME.py` holds the task and `NAME.toml` its search."""


def search_file(name: str) -> pathlib.Path:
    """Return the path of a task's search file."""
    return FOLDER / f"{name}.toml"


def load(name: str) -> Task:
    """Return a task."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    task: Task = getattr(module, name.capitalize())()
    return task


def how_to_get(name: str) -> str:
    """Return the command that installs a task's data; it stands indented in the head of its file."""
    lines = (FOLDER / f"{name}.py").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("    ")).strip()


def digest(name: str) -> str:
    """Return a digest of what a task's two files do; comments, docstrings and layout have no effect."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [one for one in node.body if not _is_text(one)]
    settings = tomllib.loads(search_file(name).read_text(encoding="utf-8"))
    return hashlib.sha256(f"{ast.dump(tree)} {json.dumps(settings, sort_keys=True)}".encode()).hexdigest()[:16]


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
