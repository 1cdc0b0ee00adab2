"""Counts what the guard did in the trainings of a search and of its confirmation."""

from __future__ import annotations

from collections import Counter

from search.drawing import Table
from search.evidence import ReportSource
from search.wording import family_title
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
    times: Counter[tuple[str, str]] = Counter()
    where: dict[tuple[str, str], set[str]] = {}
    skipped = 0
    for trial in source.search.trials:
        skipped += trial.history.skipped_steps
        _add(times, where, trial.family, trial.history.interventions, f"trial {trial.number}")
    if source.confirmation is not None:
        families = {finalist.key: finalist.family for finalist in source.confirmation.finalists}
        for result in source.confirmation.results:
            skipped += result.skipped_steps
            _add(times, where, families[result.finalist], result.interventions, result.finalist)
    rows = tuple(
        GuardRow(family=family, kind=kind, times=count, trials=len(where[family, kind]))
        for (family, kind), count in times.most_common()
    )
    return GuardTable(rows=rows, skipped_steps=skipped)


def guard_numbers(table: GuardTable) -> Table:
    """Return a line for each row."""
    return Table(
        ("family", "intervention", "times", "trials"),
        tuple((family_title(row.family), row.kind, row.times, row.trials) for row in table.rows),
    )


def _add(
    times: Counter[tuple[str, str]],
    where: dict[tuple[str, str], set[str]],
    family: str,
    counts: dict[str, int],
    who: str,
) -> None:
    for kind, count in counts.items():
        if count:
            times[family, kind] += count
            where.setdefault((family, kind), set()).add(who)
