"""Works out what a transfer shows; every rendering only writes it."""

from __future__ import annotations

from typing import Literal, TypeAlias

from search.evidence.comparison import Claim, Comparison, compare
from search.evidence.scores import Scores
from search.evidence.statistics.paired import PairedTest
from search.evidence.statistics.power import seeds_for
from search.evidence.transfer.agreement import Agreement, agreement_of, ranks_of
from search.evidence.transfer.regret import Regret, ahead_of, regret_of
from search.evidence.wording.naming import title
from search.records import ConfirmationRecord, Role, TransferRecord
from search.settings import next_command
from search.wording import family_title
from trainables.records import Objective
from trainables.settings import Settings

TransferKind: TypeAlias = Literal["keep", "retune", "another", "tune_constant", "cannot_tell", "incomplete"]
"""`keep`: the pilot's choice with its numbers. `retune`: the same rule at the scaled settings. `another`: another rule
of the pilot. `tune_constant`: the best constant at scale. `incomplete`: trainings are still to come."""


class TransferRow(Settings):
    """One finalist at scale. Scores are turned so that higher is better."""

    key: str
    title: str
    role: Role
    rule: str
    shared: dict[str, float | int]
    """The learning rate and the like with which it was trained at scale, where they do not come from the file."""
    of_pilot: bool
    """True if it has the pilot's numbers; False for what was tuned at scale."""
    pilot_score: float | None
    pilot_rank: int | None
    score: float | None
    """The mean score at scale over the fresh seeds, on the validation set."""
    rank: int | None
    """The place at scale among the pilot's finalists; None for what was tuned at scale."""
    gain: PairedTest | None
    """The score at scale minus that of the best constant there; None for that constant."""
    claim: Claim | None
    """The claim of a rule to beat the best constant at scale."""
    unlike: dict[str, str]
    """The rule's parameters whose numbers mean something else at scale, with what they are tied to."""


class Retuned(Settings):
    """One finalist of the pilot beside the same kind with settings that were tuned at scale."""

    key: str
    again: str
    """Key of the finalist with re-tuned settings."""
    settings: tuple[tuple[str, float, float], ...]
    """Each setting's name, the pilot's value and the one at scale."""
    gain: PairedTest | None
    """The score with re-tuned settings minus that with the pilot's."""


class TransferFindings(Settings):
    """All conclusions from a transfer."""

    search: str
    name: str
    kind: TransferKind
    objective: Objective
    choice: str
    """Key of the pilot's choice."""
    take: str | None
    """Key of the finalist to use at scale; None while nothing can be said."""
    seeds: int
    size: int | None
    """The number of validation samples; None if it is not known."""
    unit: str
    """The plural of what one sample is."""
    rows: tuple[TransferRow, ...]
    """The finalists by their scores at scale, best first."""
    agreement: Agreement | None
    regret: Regret | None
    retuned: tuple[Retuned, ...]
    baseline: str | None
    """Key of the best constant at scale."""
    bracketed: bool
    reason: str
    """The reason why the constant at scale is not bracketed; empty if it is."""
    margin: float | None
    """The smallest gain that is worth a change, as a difference of scores."""
    more_seeds: int | None
    """The seeds that would settle what cannot be told; None if no number would, or if it is settled."""
    command: str
    """The command that trains the missing seeds; empty if there is none."""

    def of(self, key: str) -> TransferRow:
        """Return the row of one finalist; raise `KeyError` if there is none."""
        return {row.key: row for row in self.rows}[key]


def transfer_findings(record: TransferRecord, unit: str = "samples") -> TransferFindings | None:
    """Judge a transfer; None before its finalists are known.

    The first answer that holds is given. *Keep*: the choice's regret is below the smallest gain that is worth a change.
    *Tune a constant*, *another rule* or *re-tune*: what leads the choice beyond the noise, the highest of them.
    Otherwise *cannot tell*. A rule is recommended only beside a constant at scale that is bracketed.

    Args:
        record: the transfer.
        unit: the plural of what one validation sample is.
    """
    trained = record.trained
    if trained is None:
        return None
    scores = Scores(trained, unit)
    comparison = compare(trained, scores)
    rows = _rows(record, trained, comparison)
    keys = [row.key for row in comparison.rows if row.whole]
    others = [key for key in keys if key != record.choice]
    looks = comparison.looks
    is_whole = trained.complete and record.choice in keys
    regret = regret_of(scores, record.choice, others, looks) if is_whole else None
    kind, take = ("incomplete", None) if not is_whole else _kind(record, scores, comparison, regret, others)
    facts = scores.facts
    settled_by_seeds = kind == "cannot_tell" and facts.bracketed
    needed = _needed(scores, record.choice, others, trained.margin, looks) if settled_by_seeds else None
    pilot = {finalist.key: finalist.score for finalist in record.pilot if finalist.score is not None}
    return TransferFindings(
        search=record.search,
        name=record.name,
        kind=kind,
        objective=trained.objective,
        choice=record.choice,
        take=take,
        seeds=len(trained.seeds),
        size=trained.test_size,
        unit=unit,
        rows=rows,
        agreement=agreement_of(pilot, {key: scores.test[key] for key in pilot if key in keys}) if is_whole else None,
        regret=regret,
        retuned=_retuned(record, trained, scores),
        baseline=comparison.baseline,
        bracketed=facts.bracketed,
        reason=facts.reason,
        margin=trained.margin,
        more_seeds=needed,
        command="" if needed is None else f"{next_command('transfer', record.search)} --to FILE --seeds {needed}",
    )


def _kind(
    record: TransferRecord, scores: Scores, comparison: Comparison, regret: Regret | None, others: list[str]
) -> tuple[TransferKind, str | None]:
    margin = scores.record.margin
    bracketed = scores.facts.bracketed  # else a constant that was never tried may be better than all of these
    if regret is not None and margin is not None and regret.high < margin:
        return "keep" if bracketed else "cannot_tell", record.choice
    leading = ahead_of({key: scores.difference(key, record.choice) for key in others}, comparison.looks)
    if not leading:
        return "cannot_tell", record.choice
    best = max(leading, key=lambda key: leading[key].mean)
    row = comparison.of(best)
    if row.role != "rule":
        return "tune_constant", best
    if not bracketed:
        return "cannot_tell", record.choice
    return ("retune" if record.retuned.get(best) == record.choice else "another"), best


def _title(record: TransferRecord, trained: ConfirmationRecord, key: str) -> str:
    """Name a rule by its family, with `re-tuned` for one at settings of the scaled search, and a constant by its λ."""
    finalist = next(finalist for finalist in trained.finalists if finalist.key == key)
    if finalist.role != "rule":
        return title(trained, key)
    return f"{family_title(finalist.family)}{' re-tuned' if key in record.retuned else ''}"


def _rows(record: TransferRecord, trained: ConfirmationRecord, comparison: Comparison) -> tuple[TransferRow, ...]:
    pilot = {finalist.key: finalist for finalist in record.pilot}
    finalists = {finalist.key: finalist for finalist in trained.finalists}
    old = dict(zip(pilot, ranks_of([finalist.score for finalist in pilot.values()]), strict=True))
    new = dict(zip(pilot, ranks_of([comparison.of(key).test for key in pilot]), strict=True))
    rows = []
    for row in comparison.rows:
        finalist, known = finalists[row.key], pilot.get(row.key)
        rows.append(
            TransferRow(
                key=row.key,
                title=_title(record, trained, row.key),
                role=row.role,
                rule=finalist.rule,
                shared=finalist.shared,
                of_pilot=known is not None,
                pilot_score=None if known is None else known.score,
                pilot_rank=old.get(row.key),
                score=row.test,
                rank=new.get(row.key),
                gain=row.difference,
                claim=row.claim,
                unlike=pilot[record.retuned.get(row.key, row.key)].unlike
                if record.retuned.get(row.key, row.key) in pilot
                else {},
            )
        )
    return tuple(sorted(rows, key=lambda row: float("inf") if row.score is None else -row.score))


def _retuned(record: TransferRecord, trained: ConfirmationRecord, scores: Scores) -> tuple[Retuned, ...]:
    """Compare each finalist with the same kind at settings of the scaled search; the constant is of one kind."""
    finalists = {finalist.key: finalist for finalist in trained.finalists}
    pairs = [(key, again) for again, key in record.retuned.items()]
    if record.constant in finalists and record.tuned is not None and record.tuned != record.constant:
        assert record.constant is not None
        pairs.insert(0, (record.constant, record.tuned))
    found = []
    for key, again in pairs:
        ours, theirs = finalists[key], finalists[again]
        before = {**({"λ": ours.parameters["weight"]} if ours.role != "rule" else {}), **ours.shared}
        after = {**({"λ": theirs.parameters["weight"]} if ours.role != "rule" else {}), **theirs.shared}
        found.append(
            Retuned(
                key=key,
                again=again,
                settings=tuple((name, float(before[name]), float(after[name])) for name in before if name in after),
                gain=scores.difference(again, key),
            )
        )
    return tuple(found)


def _needed(scores: Scores, choice: str, others: list[str], margin: float | None, looks: int) -> int | None:
    """Return the fewest seeds that would settle it if the differences stayed as they are, one more look counted."""
    ways, below = list[int](), list[int | None]()
    for key in others:
        noises = scores.noises(key, choice)
        if noises is None:
            return None
        chances = len(others) * (looks + 1)
        if (seeds := seeds_for(noises.mean, noises, chances)) is not None:
            ways.append(seeds)
        if margin is not None:
            below.append(seeds_for(margin - noises.mean, noises, chances))
    if below and None not in below:
        ways.append(max(number for number in below if number is not None))
    return max(min(ways), len(scores.record.seeds) + 1) if ways else None
