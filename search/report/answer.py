"""What a report says first: the confirmation's verdict, or the search's and how to have it confirmed."""

from __future__ import annotations

from search.commands import next_command
from search.report.source import ReportSource
from search.report.verdict import judge
from search.teacher_remark import teacher_remark
from search.wording import count
from trainables.settings import Settings


class Answer(Settings):
    """`headline` answers, `evidence` says how far it holds, `caveat` what it does not say, `remedy` what would help."""

    confirmed: bool
    """Whether it was found on fresh seeds and the test pictures."""
    kind: str
    """Of `search.evidence.ConfirmedVerdict` if confirmed, else of `search.report.verdict.Verdict`."""
    headline: str
    evidence: str
    caveat: str
    remedy: str
    """Empty for a confirmed answer."""
    command: str
    """To be typed; empty for a confirmed answer, and while there is nothing to confirm."""

    @property
    def text(self) -> str:
        """All but the remedy, as one paragraph."""
        return " ".join(part for part in (self.headline, self.evidence, self.caveat) if part)


def answer(source: ReportSource) -> Answer:
    """The report's first words."""
    confirmed = source.confirmed
    if confirmed is not None:
        verdict = confirmed.verdict
        return Answer(
            confirmed=True,
            kind=verdict.kind,
            headline=verdict.headline,
            evidence=verdict.evidence,
            caveat=" ".join(part for part in (verdict.caveat, teacher_remark(source.judged)) if part),
            remedy="",
            command="",
        )
    search, found = source.search, judge(source.judged)
    remedy = command = ""
    if source.verdict is not None:
        remedy = f"{source.verdict.headline} {source.verdict.evidence}"
        command = next_command("confirm", search.name, source.launch)
    elif search.finished and search.status == "finished":
        remedy = (
            "A score that is the best of many is partly luck. A confirmation trains the finalists again on fresh seeds"
            " and judges them on the test pictures:"
        )
        command = next_command("confirm", search.name, source.launch)
    elif search.status == "stopped":
        remaining = count(search.remaining, "trial")
        remedy = f"The search was stopped with {remaining} to go; go on with it, then have it confirmed:"
        command = next_command("resume", search.name, source.launch)
    return Answer(
        confirmed=False,
        kind=found.kind,
        headline=found.headline,
        evidence=found.evidence,
        caveat=found.caveat,
        remedy=remedy,
        command=command,
    )
