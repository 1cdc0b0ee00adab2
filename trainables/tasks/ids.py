"""Identifies samples by ids of the user's own, which say more than equal inputs do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import torch

from trainables.errors import DataError

Ids: TypeAlias = tuple[Any, ...]
"""One id a sample, numbers or texts."""


def ids_of(given: Mapping[str, Any] | None, name: str, rows: int) -> Ids | None:
    """Return the ids of one of a task's sets; None if the task gives no ids at all.

    Args:
        given: `Sets.ids`.
        name: the set's name.
        rows: the number of its samples.

    Raises:
        DataError: they are missing, or are not one number or text a sample.
    """
    if given is None:
        return None
    found = given.get(name) if isinstance(given, Mapping) else None
    found = found() if callable(found) else found
    if found is None:
        raise DataError(
            f"the ids of the task's {name} set are missing; give `ids` to Sets as a dict with train, validation and"
            " test, each one id a sample (that of test may be a function)."
        )
    ids = as_ids(found, f"the ids of the task's {name} set")
    if len(ids) != rows:
        raise DataError(f"the task's {name} set must have one id a sample, {rows}, but has {len(ids)}.")
    return ids


def as_ids(given: Any, what: str) -> Ids:
    """Return ids as plain numbers or texts.

    Raises:
        DataError: they are not.
    """
    given = given.numpy() if isinstance(given, torch.Tensor) else given
    array = np.asarray(given)
    if array.ndim != 1 or array.dtype.kind not in "iuUS":
        raise DataError(
            f"{what} must be a list of whole numbers or texts, but have the type {array.dtype} and shape"
            f" {list(array.shape)}."
        )
    return tuple(array.tolist())


def check_disjoint(one: Ids | None, other: Ids | None, names: tuple[str, str]) -> None:
    """Raise DataError if two sets have an id in common."""
    shared = set(one or ()) & set(other or ())
    if shared:
        first = min(shared, key=str)
        raise DataError(
            f"the task's {names[0]} and {names[1]} set must not share a sample, but have {len(shared):,} ids in common,"
            f" {first!r} for one; scores would be too good."
        )
