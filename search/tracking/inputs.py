"""Describes a search's data and teacher as the inputs that MLflow shows beside a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from search.records import SearchRecord

_DIGEST = 8  # characters, as in MLflow's own data sets


class Input(NamedTuple):
    """One data set of a run, or its teacher."""

    name: str
    digest: str
    context: str
    """Its part in the run: training, validation, test or teacher."""
    profile: str
    """Its sizes, classes and shape as JSON, as far as they are known."""


def inputs_of(search: SearchRecord, *, tested: bool) -> tuple[Input, ...]:
    """Return the data sets and the teacher of a search's runs.

    A search whose own function brings its data counts none of them. Its function's text and options stand for them, so
    they are one input for training.

    Args:
        search: the search.
        tested: True if the runs have seen the test set.
    """
    data, teacher = _digests(search)
    name, counts = search.config.data_name, search.pictures
    if counts is None:
        sets: dict[str, dict[str, Any]] = {"training": {}}
    else:
        common = {"unit": counts.unit, "classes": counts.classes or None, "shape": list(counts.shape) or None}
        sizes = {"training": counts.train, "validation": counts.validation, "test": counts.test}
        sets = {context: {"num_rows": size, **common} for context, size in sizes.items()}
        if not tested:
            del sets["test"]
    found = [Input(name, _short(f"{data} {context}"), context, _as_json(known)) for context, known in sets.items()]
    known = {"parameters": search.teacher_parameters or None, "validation_accuracy": search.teacher_accuracy}
    return (*found, Input(search.config.teacher_name, _short(teacher), "teacher", _as_json(known)))


def as_mlflow(inputs: Collection[Input]) -> list[Any]:
    """Return inputs as MLflow's entities; `mlflow.data.get_source` reads their source."""
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.entities import Dataset, DatasetInput, InputTag

    source = CodeDatasetSource({"mlflow.source.name": "kd-search"})
    return [
        DatasetInput(
            Dataset(
                name=each.name,
                digest=each.digest,
                source_type=source._get_source_type(),
                source=source.to_json(),
                profile=each.profile,
            ),
            [InputTag("mlflow.data.context", each.context)],
        )
        for each in inputs
    ]


def _digests(search: SearchRecord) -> tuple[str, str]:
    """Return what identifies the data, and the teacher; the settings, where nothing was digested."""
    parts = search.foundation.split(":")
    if len(parts) > 2:
        return parts[1], parts[2]
    whole = search.foundation or search.config.data.model_dump_json()
    return whole, f"{whole} {search.config.teacher_name}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST]


def _as_json(known: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in known.items() if value is not None})
