"""Puts a student's values on each test sample into one order, so that trainings can be compared sample by sample."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from trainables.config import Measured
from trainables.errors import ConfigError


def in_order_of(given: Mapping[str, Any], ids: Iterable[object] | None) -> tuple[dict[str, Measured], str, int | None]:
    """Sort values by the samples' ids.

    Args:
        given: values [N] by metric.
        ids: N numbers or texts that differ from one another.

    Returns:
        The values by metric in the ids' order, a digest of the sorted ids, and N. Without ids the digest is empty and N
        is None.

    Raises:
        ConfigError: values are given without ids, ids repeat, or their numbers differ.
    """
    if ids is None:
        if given:
            raise ConfigError(
                "`run.report_test` must get `ids` with `per_sample`, so that every training's values are of the same"
                " samples; give ids=range(N) if the test set has a fixed order."
            )
        return {}, "", None
    names = [_plain(name) for name in ids]
    order = sorted(range(len(names)), key=lambda place: (str(type(names[place])), names[place]))
    if len(set(names)) < len(names):
        raise ConfigError(
            f"`ids` of `run.report_test` must differ from one another, but {len(names) - len(set(names)):,} of"
            f" {len(names):,} repeat."
        )
    samples = {}
    for name, values in given.items():
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
        if array.ndim != 1 or len(array) != len(names) or array.dtype.kind not in "biuf":
            raise ConfigError(
                f"`per_sample` of `run.report_test` must hold one number for each of the {len(names):,} ids, but"
                f" {name!r} has shape {list(array.shape)} and type {array.dtype}."
            )
        if set(np.unique(array[:10_000]).tolist()) <= {0, 1}:
            array = array.astype(bool) if set(np.unique(array).tolist()) <= {0, 1} else array
        samples[name] = Measured.of_samples(array[order])
    text = "\n".join(f"{names[place]!r}" for place in order)
    return samples, hashlib.sha256(text.encode()).hexdigest(), len(names)


def _plain(name: object) -> Any:
    name = name.item() if isinstance(name, torch.Tensor | np.generic) else name
    if not isinstance(name, int | str):
        raise ConfigError(f"`ids` of `run.report_test` must be whole numbers or texts, but one is {name!r}.")
    return name
