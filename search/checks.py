"""What can be found wrong with a search before anything heavy is imported or started."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from search.config import SearchConfig
from search.errors import SearchError
from search.launch import Launch
from trainables.datasets import check_dataset
from trainables.models import check_model
from trainables.teacher import check_teacher


def check_config(config: SearchConfig, launch: Launch) -> None:
    """Find mistakes that need no PyTorch to be found.

    Raises:
        KDPolicySearchError: data, models or checkpoint are missing or unknown.
    """
    check_model(config.student)
    check_teacher(config.teacher)
    check_dataset(config.data, launch.data_root)


def check_unchanged(config: SearchConfig, begun: SearchConfig) -> None:
    """Make sure that a search is gone on with as it was begun.

    Raises:
        SearchError: some settings differ.
    """
    changes = list(_changes(begun.model_dump(mode="json"), config.model_dump(mode="json")))
    if changes:
        raise SearchError(
            f"a search {config.name!r} has begun with other settings: {'; '.join(changes)}. Give this one another name"
            " (--set name=…), or go on with the settings that it began with."
        )


def _changes(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, f"{prefix}{key}.")
        elif old != new:
            yield f"`{prefix}{key}` was {old!r} and now is {new!r}"
