"""The identity of a data set's contents."""

from __future__ import annotations

import hashlib
import json

import numpy as np

from trainables.assets import Dataset


def dataset_fingerprint(dataset: Dataset) -> str:
    """SHA-256, in hexadecimal, of what a teacher depends on: the pool, the validation set and the class names.

    `train` and `test` take no part, so that one teacher serves searches with training subsets of any size.
    """
    digest = hashlib.sha256(json.dumps(dataset.classes).encode())
    for split in (dataset.pool, dataset.validation):
        for array in (split.images, split.labels):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
