"""Holds a transfer as plain data: a pilot's finalists under the settings of a scaled search file, on fresh seeds.

The results are confirmations in form, but their `test` scores are those of the scaled validation set. The test set
stays closed.
"""

from __future__ import annotations

from typing import Any

import pydantic

from search.records.confirmation import ConfirmationRecord
from search.settings import SearchConfig
from trainables.settings import Settings


class PilotFinalist(Settings):
    """Facts of the pilot on one of its finalists."""

    key: str
    score: float | None
    """The mean score in the pilot, turned so that higher is better; None if the pilot did not train it."""
    unlike: dict[str, str] = pydantic.Field(default_factory=dict)
    """The rule's parameters whose numbers mean something else at scale, with what they depend on; see
    `policies.policy.Policy.tied`."""


class TransferRecord(Settings):
    """One transfer, finished or not."""

    search: str
    """The pilot's name."""
    name: str
    """The name of the scaled search file's search."""
    scaled: dict[str, Any]
    """The scaled search file's settings, as JSON."""
    settings: dict[str, Any]
    """The settings of `search.settings.TransferSettings`."""
    choice: str
    """Key of the finalist that the pilot recommends."""
    constant: str | None
    """Key of the pilot's best constant; None if it had none."""
    confirmed: bool
    """True if the pilot's scores and its choice are those of a confirmation."""
    pilot: tuple[PilotFinalist, ...]
    kept: tuple[str, ...]
    """The shared settings whose values travel from the pilot, such as `learning_rate`."""
    changes: tuple[tuple[str, str, str], ...]
    """The settings that differ between both search files: name, the pilot's value and the scaled one, in words."""
    foundation: str = ""
    """The identity of the scaled data and teacher."""
    bracket: ConfirmationRecord | None = None
    """The constants that were tried at scale, to find the best one; None before the first."""
    tuned: str | None = None
    """Key of the best constant at scale among the finalists; None if none was tuned."""
    retuned: dict[str, str] = pydantic.Field(default_factory=dict)
    """Keys of rules at the settings of the best constant at scale -> keys of the same rules with the pilot's."""
    trained: ConfirmationRecord | None = None
    """The finalists with their results; None before the constants at scale are known."""

    @property
    def config(self) -> SearchConfig:
        """The scaled search file's settings."""
        return SearchConfig.parse(self.scaled)

    @property
    def complete(self) -> bool:
        """True if every finalist has a result for every seed."""
        return self.trained is not None and self.trained.complete
