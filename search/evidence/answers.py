"""Defines a confirmation's answers as plain data, which is computed once and rendered everywhere."""

from __future__ import annotations

from typing import Literal

import pydantic

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


class GateCheck(Settings):
    """One finalist against one gate, on the test set."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    name: str
    """The metric, the cost or the user's own KPI."""
    gate: str
    """The gate in words: `accuracy ≥ 90.00 %`."""
    value: str
    """The mean over the fresh seeds in words, or `not measured`; of a cost, the figure of the measured student."""
    number: float | None
    """The same as a number; shares in [0, 1], milliseconds, bytes."""
    passes: bool
    students: int | None
    """The number of fresh seeds whose student keeps the gate by itself; None for a cost."""


class GatedFinalist(Settings):
    """One finalist against all gates."""

    key: str
    checks: tuple[GateCheck, ...]
    students: int
    """The number of fresh seeds whose student keeps every gate by itself."""

    @property
    def broken(self) -> tuple[GateCheck, ...]:
        """The gates that it breaks."""
        return tuple(check for check in self.checks if not check.passes)

    @property
    def passes(self) -> bool:
        """True if it keeps every gate, and one of its students does by itself, which can be the champion's."""
        return not self.broken and self.students > 0


class Gating(Settings):
    """The outcome of the KPI gates."""

    would_win: str
    """Key of the finalist that the verdict names without gates."""
    champion: str | None
    """Key of the finalist to use; None if no finalist keeps every gate."""
    finalists: tuple[GatedFinalist, ...]

    @property
    def turned_down(self) -> bool:
        """True if the gates keep the verdict's winner from being the champion."""
        return self.champion != self.would_win

    @property
    def winner(self) -> GatedFinalist:
        """The verdict's winner against the gates."""
        return self.of(self.would_win)

    def of(self, key: str) -> GatedFinalist:
        """Return one finalist; raise `KeyError` if there is none."""
        return {finalist.key: finalist for finalist in self.finalists}[key]


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
    gating: Gating | None = None
    """The outcome of the KPI gates; None without gates, or while nothing can be said."""

    @property
    def champion(self) -> str | None:
        """Key of the finalist to use: the winner, unless a gate turns it down. None if there is no such finalist."""
        return self.winner if self.gating is None else self.gating.champion

    @property
    def text(self) -> str:
        """The whole verdict, as one paragraph."""
        first = "" if self.worth is None else self.worth.text
        return " ".join(part for part in (first, self.headline, self.evidence, self.caveat) if part)
