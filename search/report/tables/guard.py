"""Counts what the guard did in the trainings of a search and of its confirmation."""

from __future__ import annotations

from collections import Counter, defaultdict

from search.drawing import Table
from search.evidence import ReportSource
from search.records import SeedResult
from search.wording import family_title
from trainables.records import TrialHistory
from trainables.settings import Settings


class GuardRow(Settings):
    """One kind of intervention under the rules of one family."""

    family: str
    kind: str
    times: int
    """The number of steps with such an intervention, over all trainings."""
    trials: int
    """The number of trials and finalists with such an intervention."""


class GuardTable(Settings):
    """The guard's interventions; `rows` is empty if it never intervened."""

    rows: tuple[GuardRow, ...]
    skipped_steps: int
    """The number of steps that the guard did not let the optimiser take."""


def guard_table(source: ReportSource) -> GuardTable:
    """Count over the search's trials and the confirmed trainings, the most frequent first."""
    trainings: list[tuple[str, str, TrialHistory | SeedResult]] = [
        (trial.family, f"trial {trial.number}", trial.history) for trial in source.search.trials
    ]
    if source.confirmation is not None:
        families = {finalist.key: finalist.family for finalist in source.confirmation.finalists}
        trainings += [(families[result.finalist], result.finalist, result) for result in source.confirmation.results]
    times: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[str]] = defaultdict(set)
    for family, who, training in trainings:
        for kind, count in training.interventions.items():
            if count:
                times[family, kind] += count
                where[family, kind].add(who)
    rows = tuple(
        GuardRow(family=family, kind=kind, times=count, trials=len(where[family, kind]))
        for (family, kind), count in times.most_common()
    )
    return GuardTable(rows=rows, skipped_steps=sum(training.skipped_steps for *_, training in trainings))


def guard_numbers(table: GuardTable) -> Table:
    """Return a line for each row."""
    return Table(
        ("family", "intervention", "times", "trials"),
        tuple((family_title(row.family), row.kind, row.times, row.trials) for row in table.rows),
    )
