"""Reads a task's sets and its teacher's outputs into arrays, which all trials of a node share.

N: samples of a set.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from trainables.config import OwnTask
from trainables.errors import DataError, ModelError
from trainables.tasks.ids import Ids, as_ids, ids_of
from trainables.tasks.mapped import MappedRows, chunks_of
from trainables.tasks.task import StoredOutputs, Task
from trainables.tasks.teachers import answer
from trainables.tasks.trees import Tree, count_rows, join_trees, leaves, map_tree

_BATCH = 256


@dataclasses.dataclass(frozen=True, kw_only=True)
class Samples:
    """The samples of one set: trees of arrays with N rows each."""

    inputs: Tree
    labels: Tree
    ids: Ids | None = None
    """One id a sample, if the task gives ids. Trials are sent none."""

    def __len__(self) -> int:
        return count_rows(self.labels)

    @property
    def digest(self) -> str:
        """A digest of all inputs and labels, 64 hexadecimal digits."""
        return digest_of((self.inputs, self.labels))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskAssets:
    """The data that a trial of a task reads. It holds no test set, so no trial can look at one."""

    task: OwnTask
    train: Samples
    validation: Samples
    train_targets: Tree
    """The teacher's outputs on the training samples, arrays with N rows."""
    validation_targets: Tree
    classes: tuple[str, ...]
    """The classes' names; empty if the task is no classification."""
    teacher_accuracy: float | None
    """The teacher's accuracy on the validation samples; None if the task is no classification."""
    teacher: bytes | None = None
    """The teacher, from `pack_teacher`; None if it need not be asked at every step."""

    def in_memory(self) -> TaskAssets:
        """Return the same without memory-mapped parts, for nodes that do not see the files."""

        def read(leaf: Any) -> Any:
            return np.asarray(leaf)

        train = dataclasses.replace(self.train, inputs=map_tree(read, self.train.inputs))
        return dataclasses.replace(self, train=train, train_targets=map_tree(read, self.train_targets))


def samples_of(given: Any, name: str, ids: Mapping[str, Any] | None = None) -> Samples:
    """Read one of a task's sets. Inputs of the training set stay in their file if they are memory-mapped.

    Args:
        given: as `trainables.tasks.Sets` describes it.
        name: the set's name.
        ids: `Sets.ids`.

    Raises:
        DataError: it is no set, is empty, or its parts or ids differ in length.
    """
    try:
        if isinstance(given, torch.utils.data.TensorDataset):
            given = given.tensors
        if not isinstance(given, tuple):
            items = [given[place] for place in range(len(given))]
            given = join_trees(_stacked, items) if items else ()
        inputs, labels = given
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise DataError(
            f"the task's {name} set must be a pair (inputs, labels) of arrays, or a data set whose items are such"
            f" pairs of equal shapes, but is {type(given).__name__}: {error}."
        ) from error
    read = _as_rows if name == "train" else _as_array
    samples = Samples(inputs=map_tree(read, inputs), labels=map_tree(_as_array, labels))
    try:
        rows = count_rows((samples.inputs, samples.labels))
    except ValueError as error:
        raise DataError(f"the task's {name} set: of inputs and labels, {error}.") from error
    if rows == 0:
        raise DataError(f"the task's {name} set has no sample; return at least one.")
    return dataclasses.replace(samples, ids=ids_of(ids, name, rows))


def _stacked(items: list[Any]) -> Any:
    return np.stack([_as_array(item) for item in items])


def _as_array(leaf: Any) -> np.ndarray[Any, Any]:
    if isinstance(leaf, torch.Tensor):
        leaf = leaf.detach().cpu()
        leaf = (leaf.float() if leaf.dtype is torch.bfloat16 else leaf).numpy()
    array = np.asarray(leaf)
    if array.dtype == object or array.dtype.kind in "USV":
        raise DataError(
            f"a task's sets must hold numbers, but there is a part of type {array.dtype}; turn text into numbers"
            " (tokens, say) in `sets`."
        )
    # PyTorch's default types: a network's weights are float32, and labels are int64.
    if array.dtype == np.float64:
        array = array.astype(np.float32)
    elif array.dtype.kind in "iu" and array.dtype not in (np.int64, np.uint8):
        array = array.astype(np.int64)
    return array


def _as_rows(leaf: Any) -> np.ndarray[Any, Any] | MappedRows:
    mapped = MappedRows.of(leaf)
    return _as_array(leaf) if mapped is None else mapped


def outputs_on(task: Task, teacher: nn.Module, inputs: Tree, device: torch.device) -> Tree:
    """Compute a teacher's outputs on inputs with N rows, as a tree of float arrays with N rows.

    Raises:
        ModelError: some are infinite or NaN.
    """
    parts = []
    with torch.inference_mode():
        for start in range(0, count_rows(inputs), _BATCH):
            batch = map_tree(lambda leaf: torch.tensor(leaf[start : start + _BATCH]).to(device), inputs)  # noqa: B023
            parts.append(map_tree(lambda leaf: leaf.float().cpu().numpy(), answer(task, teacher, batch)))
    return check_finite(join_trees(np.concatenate, parts))


def is_finite(tree: Tree) -> bool:
    """Tell whether all numbers of a tree of arrays are finite."""
    return all(bool(np.isfinite(part).all()) for leaf in leaves(tree) for part in chunks_of(leaf))


def check_finite(outputs: Tree) -> Tree:
    """Return a teacher's outputs as they are.

    Raises:
        ModelError: some are infinite or NaN.
    """
    if not is_finite(outputs):
        raise ModelError("the teacher's outputs must be finite, but some are infinite or NaN; check its weights.")
    return outputs


def stored_outputs(stored: StoredOutputs, name: str, samples: Samples) -> Tree:
    """Return the stored outputs on a set, as arrays; those of the training set stay in their file if they are mapped.

    Raises:
        DataError: they are missing, or there are more or fewer than samples, or ids do not fit.
        ModelError: some are infinite or NaN.
    """
    read = _as_rows if name == "train" else _as_array
    if stored.outputs is not None:
        rows_of = _rows_by_id(stored, name, samples)
        return check_finite(map_tree(lambda leaf: _taken(leaf, rows_of, mapped=name == "train"), stored.outputs))
    given = getattr(stored, name)
    given = given() if callable(given) else given
    if given is None:
        raise DataError(f"the teacher's stored outputs lack those on the {name} set; give `{name}` to StoredOutputs.")
    outputs = map_tree(read, given)
    try:
        rows = count_rows(outputs)
    except ValueError as error:
        raise DataError(f"the teacher's stored outputs on the {name} set: {error}.") from error
    if rows != len(samples):
        raise DataError(
            f"the teacher's stored outputs on the {name} set must have one row a sample, {len(samples)}, but have"
            f" {rows}; store them in the order of the set."
        )
    return check_finite(outputs)


def _rows_by_id(stored: StoredOutputs, name: str, samples: Samples) -> np.ndarray[Any, Any]:
    """Return the row of `stored.outputs` for each sample of a set, int64 [N].

    Raises:
        DataError: ids are missing or repeated, or differ in number from the outputs.
    """
    if stored.ids is None or samples.ids is None:
        raise DataError(
            "StoredOutputs with `outputs` needs `ids`, one a row, and Sets needs `ids` for the samples, so that each"
            " sample finds its row; give both, or give outputs for each set."
        )
    ids = as_ids(stored.ids, "the ids of the teacher's stored outputs")
    places = {key: place for place, key in enumerate(ids)}
    try:
        rows = count_rows(map_tree(lambda leaf: leaf if hasattr(leaf, "ndim") else np.asarray(leaf), stored.outputs))
    except ValueError as error:
        raise DataError(f"the teacher's stored outputs: {error}.") from error
    if len(places) < len(ids) or len(ids) != rows:
        raise DataError(
            f"the teacher's stored outputs must have a different id for each of their {rows:,} rows, but have"
            f" {len(ids):,} ids, {len(places):,} of them different."
        )
    missing = [key for key in samples.ids if key not in places]
    if missing:
        raise DataError(
            f"the teacher's stored outputs lack {len(missing):,} of {len(samples):,} samples of the {name} set, the one"
            f" with the id {missing[0]!r} for example; store its outputs, too."
        )
    return np.array([places[key] for key in samples.ids], dtype=np.int64)


def _taken(leaf: Any, rows: np.ndarray[Any, Any], *, mapped: bool) -> Any:
    whole = MappedRows.of(leaf)
    if whole is not None:
        return whole.taken(rows) if mapped else _as_array(whole[rows])
    return _as_array(np.asarray(leaf)[rows])


def digest_of(tree: Tree) -> str:
    """Return a digest of all arrays of a tree, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for leaf in leaves(tree):
        digest.update(f"{leaf.dtype} {leaf.shape} ".encode())
        for part in chunks_of(leaf):
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
