"""Defines a confirmation's answers as plain data, which is computed once and rendered everywhere."""

from __future__ import annotations

from typing import Literal

from search.evidence.statistics.paired import PairedTest
from trainables.settings import Settings

AnswerKind = Literal["constant", "rule", "cannot_tell"]
VerdictKind = Literal["constant", "rule", "cannot_tell", "incomplete"]
"""`constant`: use λ = c, no rule is worth it here. `rule`: a rule is better. `cannot_tell`: cannot tell yet.
`incomplete`: a training is still to come, there is only one seed, or no constant can be the baseline."""
WorthKind = Literal["pays", "does_not_pay", "cannot_tell"]


class Settling(Settings):
    """The seeds or test samples that would settle a confirmation that cannot tell."""

    seeds: int | None = None
    """Seeds in all, with the test set as it is; None where more seeds alone cannot settle it."""
    command: str | None = None
    """The command that trains the missing seeds; None where `seeds` is None."""
    samples: int | None = None
    """Test samples in all that the present seeds would need. None where more seeds settle it, where more samples alone
    cannot, or where their noise is not known."""
    toward: Literal["rule", "constant"] | None = None
    """The answer that would result if the gains stayed as they are; None for the gain over the labels alone."""
    text: str = ""
    """The same in words, one sentence or several."""


class Worth(Settings):
    """Says whether distillation is worth it here: compares the best of everything with training on the labels alone."""

    kind: WorthKind
    best: str
    """Key of the finalist that is compared with the labels alone."""
    labels: str
    """Key of the finalist that was trained on the labels alone, at its own best learning rate."""
    gain: PairedTest
    """`best` minus `labels`. Its interval is widened for the number of candidates."""
    text: str
    """`Distillation pays here: +5.10 points (+4.02 to +6.18) over the labels alone.`"""
    settling: Settling | None = None
    """The seeds or test samples that would settle it; None unless `kind` is `cannot_tell`."""


class ConfirmedVerdict(Settings):
    """`headline` gives the answer, `evidence` says how far it holds, and `caveat` what it does not cover."""

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
    """Set only if `kind` is `cannot_tell` and the reason is not a constant that was not bracketed."""
    worth: Worth | None = None
    """The first line of a report; None without a finalist that was trained on the labels alone."""

    @property
    def text(self) -> str:
        """The whole verdict, as one paragraph."""
        first = "" if self.worth is None else self.worth.text
        return " ".join(part for part in (first, self.headline, self.evidence, self.caveat) if part)
