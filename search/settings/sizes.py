"""Defines the size of a search, which may grow after the search has begun."""

from __future__ import annotations

from pydantic import Field

from policies.families.schedules.fixed import Fixed
from search.wording import count
from trainables.settings import Settings


class Size(Settings):
    """The part of a search's settings that may grow: trials already run stay, and others are added."""

    families: tuple[str, ...]
    trials_per_family: int = Field(ge=1)
    most_constants: int = Field(ge=0)
    """The most constants with each student; 0 where none are searched."""
    replicates: int = Field(ge=1)

    def covers(self, other: Size) -> bool:
        """Tell whether this size is at least as large as the other in every respect."""
        return (
            set(self.families) >= set(other.families)
            and self.trials_per_family >= other.trials_per_family
            and self.most_constants >= other.most_constants
            and self.replicates >= other.replicates
        )

    def in_words(self) -> str:
        """`8 rules of each of 6 families, at most 40 constants, 3 seeds each`."""
        rules = sum(family != Fixed.family for family in self.families)
        seeds = count(self.replicates, "seed")
        constants = f", at most {count(self.most_constants, 'constant')}" if self.most_constants else ""
        if not rules:
            return f"constants alone{constants}, {seeds} each"
        families = "one family" if rules == 1 else f"each of {rules} families"
        return f"{count(self.trials_per_family, 'rule')} of {families}{constants}, {seeds} each"
