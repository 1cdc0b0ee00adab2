"""Chooses the first words of every rendering: the confirmation's verdict, or the search's and how to confirm it."""

from __future__ import annotations

from typing import Literal

from search.evidence.answers import ConfirmedVerdict, Settling
from search.evidence.confirmed import Confirmed
from search.evidence.gains import Gain
from search.evidence.ranking import saw_labels_alone
from search.evidence.searched import SearchVerdict
from search.records import SearchRecord
from search.wording import Scale, count
from trainables.settings import Settings


class WorthAnswer(Settings):
    """Says whether distillation is worth it here: compares the best of everything with training on the labels alone."""

    kind: Literal["pays", "does_not_pay", "cannot_tell", "unconfirmed"]
    """`unconfirmed` without a confirmed answer: a search alone does not answer."""
    text: str
    mean: float | None = None
    """The gain in scores; None where nothing was trained on the labels alone."""
    low: float | None = None
    """Lower end of its 95 % interval, uncorrected if not confirmed; None if not known. `high` is the upper end."""
    high: float | None = None
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
        return " ".join(filter(None, (self.worth, self.headline, self.evidence, self.caveat)))

    def __str__(self) -> str:
        return self.text


def worth_answer(search: SearchRecord, confirmed: Confirmed | None, teaching: Gain | None) -> WorthAnswer:
    """Say whether distillation is worth it.

    Args:
        search: the search, with the trials of one student.
        confirmed: the confirmation with its answer; None while it has none.
        teaching: the gain of the search's best trial over the labels alone; None where either is missing.
    """
    worth = None if confirmed is None else confirmed.verdict.worth
    if worth is not None:
        gain, kind, text, settling = worth.gain, worth.kind, worth.text, worth.settling
        return WorthAnswer(kind=kind, text=text, mean=gain.mean, low=gain.low, high=gain.high, settling=settling)
    if confirmed is not None:
        text = "Whether distillation pays here is not known: nothing was confirmed on the labels alone."
        return WorthAnswer(kind="cannot_tell", text=text)
    text = "Whether distillation pays here is not confirmed"
    if teaching is None and search.finished and saw_labels_alone(search.finished[0]):
        text = f"{text}: in the search, the labels alone scored highest."
        return WorthAnswer(kind="unconfirmed", text=text)
    if teaching is None:
        text = f"{text}{_labels_alone_so_far(search)}."
        return WorthAnswer(kind="unconfirmed", text=text)
    margin = Scale(search.objective).margin(teaching.mean)
    text = f"{text}: in the search, {teaching.ours} stands at {margin} against the labels alone."
    return WorthAnswer(kind="unconfirmed", text=text, mean=teaching.mean, low=teaching.low, high=teaching.high)


def _labels_alone_so_far(search: SearchRecord) -> str:
    """Say what an unconfirmed search without a finished trial on the labels alone knows of them."""
    tried = [trial for trial in search.trials if saw_labels_alone(trial) and trial.seeds]
    best = max(tried, key=lambda trial: (len(trial.seeds), trial.partial_score or 0.0), default=None)
    if best is None or best.partial_score is None:
        return ", and the search has no training on the labels alone to compare with"
    return (
        f": the labels alone were trained under {len(best.seeds)} of {count(search.config.replicates, 'seed')} only, at"
        f" {Scale(search.objective).value(best.partial_score)}, and were behind"
    )


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
    found = searched if confirmed is None else confirmed.verdict
    settling = None if confirmed is None else confirmed.verdict.settling
    remedy, next_verb, next_options = "", "", list[str]()
    if confirmed is None:
        remedy, next_verb = _remedy(search, verdict)
    elif settling is not None and settling.seeds is not None:
        remedy, next_verb, next_options = "More seeds would settle it:", "confirm", ["--seeds", str(settling.seeds)]
    return Answer(
        confirmed=confirmed is not None,
        kind=found.kind,
        worth=worth.text,
        headline=found.headline,
        evidence=found.evidence,
        caveat=found.caveat,
        remedy=remedy,
        next_verb=next_verb,
        next_options=tuple(next_options),
    )


def _remedy(search: SearchRecord, verdict: ConfirmedVerdict | None) -> tuple[str, str]:
    if verdict is not None:
        return f"{verdict.headline} {verdict.evidence}", "confirm"
    if search.finished and search.status == "finished":
        return (
            "A score that is the best of many is partly luck. A confirmation trains the finalists again on fresh seeds"
            " and judges them on the test set:",
            "confirm",
        )
    if search.status == "stopped":
        remaining = count(search.remaining, "trial")
        return f"The search was stopped with at most {remaining} to go; resume it, then have it confirmed:", "resume"
    return "", ""
