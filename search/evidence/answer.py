"""The first words of every rendering: the confirmation's verdict, or the search's and how to have it confirmed."""

from __future__ import annotations

from search.evidence.confirmed import Confirmed
from search.evidence.searched import SearchVerdict
from search.evidence.verdict import ConfirmedVerdict
from search.records import SearchRecord
from search.teacher_remark import teacher_remark
from search.wording import count
from trainables.settings import Settings


class Answer(Settings):
    """`headline` answers, `evidence` says how far it holds, `caveat` what it does not say, `remedy` what would help."""

    confirmed: bool
    """Whether it was found on fresh seeds and the test pictures."""
    kind: str
    """Of `search.evidence.ConfirmedVerdict` if confirmed, else of `search.evidence.searched.SearchVerdict`."""
    headline: str
    evidence: str
    caveat: str
    remedy: str
    """Empty for a confirmed answer."""
    next_verb: str
    """The subcommand of `kd-search` to type next: `confirm`, `resume`; empty where nothing is to be typed."""

    @property
    def text(self) -> str:
        """All but the remedy, as one paragraph."""
        return " ".join(part for part in (self.headline, self.evidence, self.caveat) if part)


def answer(
    search: SearchRecord, searched: SearchVerdict, verdict: ConfirmedVerdict | None, confirmed: Confirmed | None
) -> Answer:
    """The first words.

    Args:
        search: with the trials of one student.
        searched: its own verdict.
        verdict: of the confirmation, finished or not; None if none has begun.
        confirmed: the confirmation with its answer; None while it has none.
    """
    if confirmed is not None:
        found = confirmed.verdict
        return Answer(
            confirmed=True,
            kind=found.kind,
            headline=found.headline,
            evidence=found.evidence,
            caveat=" ".join(part for part in (found.caveat, teacher_remark(search)) if part),
            remedy="",
            next_verb="",
        )
    remedy, next_verb = _remedy(search, verdict)
    return Answer(
        confirmed=False,
        kind=searched.kind,
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
