"""Finds docstrings that open with a fragment: `python -m checks.docstrings` lists them and exits with 1 if any does.

A docstring opens with a fragment if its first word leaves the reader without a subject: a preposition, a question word
without a question, or a conjunction. Docstrings of modules, classes, functions and attributes are read, those of tests
included. There is no list of exceptions.
"""

from __future__ import annotations

import ast
import pathlib
import re
import sys
from collections.abc import Iterator

FOLDERS = ("policies", "trainables", "search", "benchmarks", "checks", "docs", "examples", "tests")
OPENER = re.compile(
    r"\s*(about|above|after|against|along|among|and|as|at|because|before|below|beside|between|beyond|but|by|during|except"
    r"|for|from|how|if|in|inside|into|like|near|nor|of|off|on|onto|or|out|outside|over|per|since|so|than|that|though"
    r"|through|to|toward|towards|under|unless|until|up|upon|what|when|whence|where|whether|which|while|who|whom|whose"
    r"|why|with|within|without)\b",
    re.IGNORECASE,
)
"""First words that name no subject."""


def docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and text of every docstring in a file, those of attributes included."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        owns = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for before, statement in zip([None, *body], body, strict=False):
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            if not is_text or not isinstance(statement.value.value, str):
                continue
            if (before is None and owns) or isinstance(before, ast.Assign | ast.AnnAssign):
                yield statement.lineno, statement.value.value


def opens_with_fragment(text: str) -> bool:
    """Tell whether the first word of a docstring leaves its reader without a subject."""
    return OPENER.match(text) is not None


def main() -> int:
    """List the fragments; return how the process should exit."""
    count = found = 0
    for path in sorted(path for folder in FOLDERS for path in pathlib.Path(folder).rglob("*.py")):
        for line, text in docstrings(ast.parse(path.read_text(encoding="utf-8"))):
            count += 1
            if opens_with_fragment(text):
                found += 1
                print(f"{path}:{line}: opens with a fragment: {text.strip().splitlines()[0]}")
    print(f"{found} of {count:,} docstrings open with a fragment")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
