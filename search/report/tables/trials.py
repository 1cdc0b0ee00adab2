"""Lists a search's trials and families as tables of numbers."""

from __future__ import annotations

from search.drawing import Table
from search.evidence import FamilyRank
from search.metrics import metrics_with
from search.records import SearchRecord, TrialRecord
from search.report.tables.kpis import value_over_seeds


def trial_numbers(search: SearchRecord) -> Table:
    """Return a line for each trial, the best first; scores are such that higher is better.

    Settings and parameters that a trial does not have are None, as are scores of trials that have not finished.
    """
    finished = search.finished
    others = [trial for trial in search.trials if trial.score is None]
    trials = [*finished, *others]
    shared = list(dict.fromkeys(name for trial in trials for name in trial.shared))
    parameters = list(dict.fromkeys(name for trial in trials for name in trial.parameters))
    metrics = metrics_with(name for trial in trials for result in trial.history.replicates for name in result.own_kpis)
    places = {trial.number: place for place, trial in enumerate(finished, start=1)}

    def line(trial: TrialRecord) -> tuple[str | int | float | bool | None, ...]:
        done = trial.score is not None
        results = trial.history.replicates if done else ()
        return (
            places.get(trial.number), trial.number, trial.status, trial.family, trial.student, trial.rule,
            trial.complexity, trial.score, trial.history.score_std if done else None, len(trial.seeds),
            *(trial.shared.get(name) for name in shared),
            *(trial.parameters.get(name) for name in parameters),
            *(value_over_seeds(list(map(metric.in_search, results))).mean for metric in metrics),
            trial.history.training_seconds, trial.error,
        )  # fmt: skip

    columns = (
        "place", "number", "status", "family", "student", "rule", "numbers", "score", "score_std", "seeds",
        *shared, *(f"parameter.{name}" for name in parameters), *(f"validation_{metric.name}" for metric in metrics),
        "training_seconds", "error",
    )  # fmt: skip
    return Table(columns, tuple(map(line, trials)))


def family_numbers(families: tuple[FamilyRank, ...]) -> Table:
    """Return a line for each family, the best first, with its best trial; scores are such that higher is better."""
    best = ("number", "score", "spread", "rule", "complexity")
    counts = ("median", "finished", "eliminated", "failed", "unfinished")
    return Table(
        ("rank", "family", "trial", "score", "score_std", "rule", "numbers", *counts),
        tuple(
            (
                family.rank,
                family.family,
                *(getattr(family.best, name, None) for name in best),
                *(getattr(family, name) for name in counts),
            )
            for family in families
        ),
    )
