"""Facts of the search that a confirmation's verdict depends on, as plain data stored at the confirmation's start."""

from __future__ import annotations

from typing import Literal

from trainables.settings import Settings


class RangeEnd(Settings):
    """A finalist's learning rate or temperature that lies at or near an end of the range that was searched."""

    finalist: str
    """Its key."""
    setting: Literal["learning_rate", "temperature"]
    value: float
    end: Literal["low", "high"]
    limit: float
    """The end of the range."""


class ConstantFacts(Settings):
    """How well the search tuned the constant λ that every rule is held against."""

    chosen: str | None = None
    """Key of the finalist that the search's validation scores name as the best constant; None if it named none."""
    rivals: tuple[str, ...] = ()
    """Keys of the constants that the search could not tell from the chosen one."""
    bracketed: bool = False
    """Whether both neighbours of the chosen λ are close to it and the expected loss of choosing it is small."""
    reason: str = ""
    """Why it is not bracketed, as the second half of a sentence; empty if it is."""
    expected_loss: float = 0.0
    """By how much a constant that was not tried is expected to exceed the chosen one, in the score's unit. A rule must
    gain more than that, beyond the noise, to be called better."""
    labels_loss: float | None = 0.0
    """By how much the labels alone at a learning rate that was not tried are expected to exceed those that were; None
    where the search tried none. Distillation must gain more than that, beyond the noise, to be said to pay."""
    ends: tuple[RangeEnd, ...] = ()
    """Of the chosen constant and of the rules: settings at or near an end of the range that all share."""
