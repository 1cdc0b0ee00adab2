"""Describes the tasks: which data they are, where the labels come from, and what the teacher is."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

FOLDER = pathlib.Path(__file__).parent


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
