"""Sizes of a data set's parts, for searches made from formulas."""

from typing import Any

from search.records.pictures import PictureCounts


def picture_counts(**changes: Any) -> PictureCounts:
    """Return four classes of equal size."""
    sizes = {"train": 400, "pool": 900, "validation": 200, "test": 300}
    return PictureCounts(**{**sizes, "classes": 4, "shape": (64, 48, 3), "largest_share": 0.25, **changes})
