"""Holds facts of the search that a confirmation's verdict depends on, as plain data stored when it begins."""

from __future__ import annotations

from typing import Literal

from trainables.settings import Settings


class RangeEnd(Settings):
    """A setting of a finalist that lies at or near an end of the range that was searched alike for all families."""

    finalist: str
    """The finalist's key."""
    setting: str
    """Its name in a suggestion: `learning_rate`, `temperature`, `options.<name>`."""
    value: float
    end: Literal["low", "high"]
    limit: float
    """The end of the range."""


class ConstantFacts(Settings):
    """Records how well the search tuned the constant λ that every rule is compared with."""

    chosen: str | None = None
    """Key of the best constant among the finalists by the search's validation scores; None if the search named none."""
    rivals: tuple[str, ...] = ()
    """Keys of the constants that the search could not tell from the chosen one."""
    bracketed: bool = False
    """True if both neighbours of the chosen λ are close to it and the expected loss of choosing it is small."""
    reason: str = ""
    """The reason why it is not bracketed, as the second half of a sentence; empty if it is."""
    expected_loss: float = 0.0
    """The amount by which an untried constant is expected to exceed the chosen one, in the score's unit. To be called
    better, a rule must gain more than that, beyond the noise."""
    labels_loss: float | None = 0.0
    """The amount by which the labels alone at an untried learning rate are expected to exceed the best that was tried.
    None if the search did not try them. To be said to pay, distillation must gain more than that, beyond the noise."""
    ends: tuple[RangeEnd, ...] = ()
    """Settings of the chosen constant and of the rules at or near an end of a range that all families share."""
