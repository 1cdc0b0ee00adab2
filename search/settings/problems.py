"""Collects the mistakes of a search file, so that all are reported at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from search.errors import KDPolicySearchError
from trainables.errors import ConfigError

_Read = TypeVar("_Read")


class Problems:
    """The mistakes found so far.

    Attributes:
        texts: one or more lines each.
        unread: settings of which a part could not be read, so that nothing else can be said of them.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.unread: set[str] = set()
        self._only: KDPolicySearchError | None = None

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Note the error that is raised in the block, and go on after it."""
        try:
            yield
        except KDPolicySearchError as error:
            if str(error):
                self._only = None if self.texts else error
                self.texts.append(str(error))

    def reading(self, setting: str, read: Callable[..., _Read], *values: Any, **wording: str) -> list[_Read]:
        """Return what `read` returns in a list, or an empty list if it failed, which is noted."""
        before = len(self.texts)
        with self.noted():
            return [read(*values, **wording)]
        if len(self.texts) > before:
            self.unread.add(setting.partition(".")[0])
        return []

    def check(self) -> None:
        """Raise what was noted.

        Raises:
            KDPolicySearchError: the only error as it was, or a ConfigError with one line or more for each of several.
        """
        if len(self.texts) == 1 and self._only is not None:
            raise self._only
        if self.texts:
            raise ConfigError("\n".join(self.texts))
