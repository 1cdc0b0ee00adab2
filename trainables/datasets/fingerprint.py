"""The identity of a data set's contents."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from trainables.pictures import Dataset, Images, MappedImages

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

_CHUNK = 4096  # pictures at a time; those that are not contiguous are copied


def dataset_fingerprint(dataset: Dataset) -> str:
    """Return the SHA-256, in hexadecimal, of the data that a teacher depends on.

    These are the pool, the validation set and the class names. `train` and `test` are left out, so that one teacher
    serves searches with training subsets of any size.
    """
    digest = hashlib.sha256(json.dumps(dataset.classes).encode())
    for split in (dataset.pool, dataset.validation):
        digest.update(f"{split.images.dtype.str}{split.images.shape}".encode())
        add_images(digest, split.images)
        digest.update(f"{split.labels.dtype.str}{split.labels.shape}".encode())
        digest.update(np.ascontiguousarray(split.labels).data)
    return digest.hexdigest()


def add_images(digest: Hash, images: Images) -> None:
    """Add pictures to a digest. Pictures in a file are not read: the digests in their records are added."""
    if isinstance(images, MappedImages):
        digest.update(images.records()["digest"].tobytes())
        return
    for start in range(0, len(images), _CHUNK):
        digest.update(np.ascontiguousarray(images[start : start + _CHUNK]).data)
