"""Chooses the first words of every rendering: the confirmation's verdict, or the search's and how to confirm it."""

from __future__ import annotations

from typing import Literal

from search.evidence.answers import Settling
from search.evidence.confirmed import Confirmed
from search.evidence.gains import Gain
from search.evidence.searched import SearchVerdict
from search.evidence.verdict import ConfirmedVerdict
from search.records import SearchRecord
from search.wording import Scale, count
from trainables.settings import Settings


class WorthAnswer(Settings):
    """Says whether distillation is worth it here: compares the best of everything with training on the labels alone."""

    kind: Literal["pays", "does_not_pay", "cannot_tell", "unconfirmed"]
    """`unconfirmed` without a confirmed answer: a search alone does not answer."""
    text: str
    mean: float | None
    """The gain in scores; None where nothing was trained on the labels alone."""
    low: float | None
    """Lower end of its 95 % interval, uncorrected if not confirmed; None if not known. `high` is the upper end."""
    high: float | None
    settling: Settling | None = None
    """The seeds or test samples that would settle it, where a confirmation cannot tell."""


class Answer(Settings):
    """`worth` is the first line, `headline` gives the answer, and `evidence` says how far it holds.

    `caveat` says what the answer does not cover, and `remedy` what would help.
    """

    confirmed: bool
    """True if it was found on fresh seeds and the test pictures."""
    kind: str
    """The kind of `search.evidence.ConfirmedVerdict` if confirmed, else of `search.evidence.searched.SearchVerdict`."""
    worth: str
    headline: str
    evidence: str
    caveat: str
    remedy: str
    """Empty for a confirmed answer, unless more seeds would settle it."""
    next_verb: str
    """The subcommand of `kd-search` to type next, `confirm` or `resume`; empty if there is none."""
    next_options: tuple[str, ...] = ()
    """Its options, beyond those that name the search's places."""

    @property
    def text(self) -> str:
        """The answer without the remedy, as one paragraph."""
        return " ".join(part for part in (self.worth, self.headline, self.evidence, self.caveat) if part)


def worth_answer(
    search: SearchRecord, verdict: ConfirmedVerdict | None, teaching: Gain | None, *, confirmed: bool
) -> WorthAnswer:
    """Say whether distillation is worth it.

    Args:
        search: the search, with the trials of one student.
        verdict: the confirmation's, if there is one.
        teaching: the gain of the search's best trial over the labels alone; None where either is missing.
        confirmed: True if the confirmation has an answer.
    """
    if confirmed and verdict is not None:
        if verdict.worth is None:
            text = "Whether distillation pays here is not known: nothing was confirmed on the labels alone."
            return WorthAnswer(kind="cannot_tell", text=text, mean=None, low=None, high=None)
        worth, gain = verdict.worth, verdict.worth.gain
        return WorthAnswer(
            kind=worth.kind, text=worth.text, mean=gain.mean, low=gain.low, high=gain.high, settling=worth.settling
        )
    text = "Whether distillation pays here is not confirmed"
    if teaching is None:
        text = f"{text}, and the search has no training on the labels alone to compare with."
        return WorthAnswer(kind="unconfirmed", text=text, mean=None, low=None, high=None)
    margin = Scale(search.objective).margin(teaching.mean)
    text = f"{text}: in the search, {teaching.ours} stands at {margin} against the labels alone."
    return WorthAnswer(kind="unconfirmed", text=text, mean=teaching.mean, low=teaching.low, high=teaching.high)


def answer(
    search: SearchRecord,
    searched: SearchVerdict,
    verdict: ConfirmedVerdict | None,
    confirmed: Confirmed | None,
    worth: WorthAnswer,
) -> Answer:
    """Choose the first words.

    Args:
        search: the search, with the trials of one student.
        searched: the search's own verdict.
        verdict: the confirmation's, finished or not; None if none has begun.
        confirmed: the confirmation with its answer; None while it has none.
        worth: the answer to whether distillation is worth it.
    """
    if confirmed is not None:
        found = confirmed.verdict
        seeds = None if found.settling is None else found.settling.seeds
        return Answer(
            confirmed=True,
            kind=found.kind,
            worth=worth.text,
            headline=found.headline,
            evidence=found.evidence,
            caveat=found.caveat,
            remedy="" if seeds is None else "More seeds would settle it:",
            next_verb="" if seeds is None else "confirm",
            next_options=() if seeds is None else ("--seeds", str(seeds)),
        )
    remedy, next_verb = _remedy(search, verdict)
    return Answer(
        confirmed=False,
        kind=searched.kind,
        worth=worth.text,
        headline=searched.headline,
        evidence=searched.evidence,
        caveat=searched.caveat,
        remedy=remedy,
        next_verb=next_verb,
    )


def _remedy(search: SearchRecord, verdict: ConfirmedVerdict | None) -> tuple[str, str]:
    if verdict is not None:
        return f"{verdict.headline} {verdict.evidence}", "confirm"
    if search.finished and search.status == "finished":
        return (
            "A score that is the best of many is partly luck. A confirmation trains the finalists again on fresh seeds"
            " and judges them on the test pictures:",
            "confirm",
        )
    if search.status == "stopped":
        remaining = count(search.remaining, "trial")
        return f"The search was stopped with at most {remaining} to go; resume it, then have it confirmed:", "resume"
    return "", ""
