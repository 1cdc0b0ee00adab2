"""The shape of a confirmation's answers: plain data, worked out once and rendered everywhere."""

from __future__ import annotations

from typing import Literal

from search.evidence.statistics.paired import PairedTest
from trainables.settings import Settings

AnswerKind = Literal["constant", "rule", "cannot_tell"]
VerdictKind = Literal["constant", "rule", "cannot_tell", "incomplete"]
"""*Use λ = c, no rule is worth it here*; *a rule is better*; *cannot tell yet*; a training is still to come."""
WorthKind = Literal["pays", "does_not_pay", "cannot_tell"]


class Settling(Settings):
    """What would settle a confirmation that cannot tell."""

    seeds: int | None = None
    """Seeds in all, with the test set as it is; None where more seeds alone cannot settle it."""
    command: str | None = None
    """Trains the seeds that are missing; None as for `seeds`."""
    samples: int | None = None
    """Test samples in all that the present seeds would need; None where more samples alone cannot settle it, or where
    their noise is not known."""
    toward: Literal["rule", "constant"] | None = None
    """The answer that it would come to if the gains stayed as they are; None where it is about the labels alone."""
    text: str = ""
    """The same in words, one sentence or several."""


class Worth(Settings):
    """Whether distillation is worth it here: the best of everything against training on the labels alone."""

    kind: WorthKind
    best: str
    """Key of the finalist that is held against the labels alone."""
    labels: str
    """Key of the finalist that was trained on the labels alone, at its own best learning rate."""
    gain: PairedTest
    """`best` minus `labels`. Its interval is as wide as the number of candidates asks."""
    text: str
    """`Distillation pays here: +5.10 points (+4.02 to +6.18) over the labels alone.`"""
    settling: Settling | None = None
    """Under `cannot_tell`."""


class ConfirmedVerdict(Settings):
    """`headline` answers, `evidence` says how far it holds, `caveat` what it does not say."""

    kind: VerdictKind
    headline: str
    evidence: str
    caveat: str
    winner: str | None
    """Key of the finalist to use: a rule, or the best constant. Under `cannot_tell` it is the constant, as the safe
    choice; None while nothing can be said."""
    baseline: str | None
    """Key of the best constant, which the search chose on validation scores."""
    smallest_gain: float | None = None
    """The smallest gain that is worth a rule, as a difference of scores; None for a KPI without that setting."""
    largest_gain: float | None = None
    """Upper bound of the largest gain of any rule over the baseline, with 97.5 % confidence; None if not known."""
    settling: Settling | None = None
    """Only where the answer is `cannot_tell`, and not where the reason is a constant that was not bracketed."""
    worth: Worth | None = None
    """The first line of a report; None without a finalist that was trained on the labels alone."""

    @property
    def text(self) -> str:
        """All of it, as one paragraph."""
        first = "" if self.worth is None else self.worth.text
        return " ".join(part for part in (first, self.headline, self.evidence, self.caveat) if part)
