"""Data sets: real pictures, read once into memory and split by a seed.

Importing this loads neither torch nor scikit-learn.
"""

from __future__ import annotations

from trainables.datasets.fingerprint import dataset_fingerprint
from trainables.datasets.loading import check_dataset, load_dataset

__all__ = ["check_dataset", "dataset_fingerprint", "load_dataset"]
