"""Data sets: real pictures, read or decoded once and split by a seed.

Importing this loads neither torch nor scikit-learn.
"""

from __future__ import annotations

from trainables.datasets.fingerprint import add_images, dataset_fingerprint
from trainables.datasets.loading import check_dataset, load_dataset

__all__ = ["add_images", "check_dataset", "dataset_fingerprint", "load_dataset"]
