"""Checks the options of a task that a search file lets the search choose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from search.settings import SearchConfig, ends
from trainables.tasks import Samples, SearchedOptions


def searched_options(config: SearchConfig) -> SearchedOptions:
    """Return the options of a search's task that are searched."""
    assert config.task is not None
    values = {name: [float(end) for end in ends(domain)] for name, domain in config.space.options.items()}
    return SearchedOptions(
        config.task,
        lowest={name: min(of) for name, of in values.items()},
        highest={name: max(of) for name, of in values.items()},
        listed=frozenset(name for name, domain in config.space.options.items() if not hasattr(domain, "low")),
    )


def try_searched(searched: SearchedOptions, options: Mapping[str, Any], train: Samples) -> Iterator[str]:
    """Try a student at both ends of the searched options, and yield a warning for each that nothing reads.

    Raises:
        ConfigError: as `SearchedOptions.try_out`.
    """
    if not searched.lowest:
        return
    read = searched.try_out(options, train)
    for name in searched.lowest:
        if name not in read:
            yield f"warning: neither student nor losses read the option {name}, so searching it changes nothing"


def digest_of_sets(train: Samples, validation: Samples) -> str:
    """Return a text that identifies both sets."""
    return f"{train.digest} {validation.digest}"
