"""Which rule `policy.json` holds, and what speaks for it.

Once the search is confirmed it is what the verdict names: a rule that beat the best constant λ, or else that constant,
since it is what one should train with then. Before, it is the best trial, which is the best guess there is.
"""

from __future__ import annotations

import statistics
from typing import Any

from policies.parameter import Value
from search.evidence.naming import finalist_of, title
from search.evidence.policy import finalist_document, objective_value
from search.records import SearchRecord, TrialRecord
from search.report.ranking import CONSTANT_FAMILY, best_trials, compare_to_constant, rule_title
from search.report.source import Confirmed, ReportSource
from search.wording import number
from trainables.settings import Settings
from trainables.suggestion import BASE_STUDENT


class Recommended(Settings):
    """A rule to train with."""

    title: str
    family: str
    rule: str
    complexity: int
    parameters: dict[str, Value]
    shared: dict[str, float | int]
    """Learning rate and temperature, where they were searched."""
    student: str
    """By its name in the search."""
    trial: int | None
    """None for a constant that only the confirmation has tried."""
    confirmed: bool
    document: dict[str, Any]
    """The contents of its `policy.json`, with the evidence; empty where the rule is of an unknown family."""


def recommend(source: ReportSource) -> Recommended | None:
    """What to train with; None while there is nothing."""
    confirmed = source.confirmed
    if confirmed is not None:
        return _of_finalist(source, confirmed, confirmed.winner)
    best = source.judged.finished
    return _of_trial(source.judged, best[0]) if best else None


def best_of_families(source: ReportSource) -> dict[str, Recommended]:
    """Each family's best rule; the finalists' with what the confirmation says of them, the best constant included."""
    search = source.judged
    found = {family: _of_trial(search, trial) for family, trial in best_trials(search).items()}
    confirmed = source.confirmed
    if confirmed is not None:
        rules = [finalist for finalist in confirmed.record.finalists if finalist.role == "rule"]
        found |= {rule.family: _of_finalist(source, confirmed, rule.key) for rule in rules}
        found[CONSTANT_FAMILY] = _of_finalist(source, confirmed, confirmed.baseline)
    return found


def settings_in_words(recommended: Recommended) -> str:
    """`trial 12, learning rate 0.0138`; the student too, unless it is the search file's own."""
    shared = [f"{name.replace('_', ' ')} {number(value)}" for name, value in recommended.shared.items()]
    trial = [] if recommended.trial is None else [f"trial {recommended.trial}"]
    student = [] if recommended.student == BASE_STUDENT else [f"student {recommended.student}"]
    return ", ".join([*trial, *student, *shared])


def _of_trial(search: SearchRecord, trial: TrialRecord) -> Recommended:
    return Recommended(
        title=rule_title(trial.family, trial.parameters),
        family=trial.family,
        rule=trial.rule,
        complexity=trial.complexity,
        parameters=trial.parameters,
        shared=trial.shared,
        student=trial.student,
        trial=trial.number,
        confirmed=False,
        document={**trial.history.policy, "evidence": _searched(search, trial)} if trial.history.policy else {},
    )


def _of_finalist(source: ReportSource, confirmed: Confirmed, key: str) -> Recommended:
    finalist = finalist_of(confirmed.record, key)
    return Recommended(
        title=title(confirmed.record, key),
        family=finalist.family,
        rule=finalist.rule,
        complexity=finalist.complexity,
        parameters=finalist.parameters,
        shared=finalist.shared,
        student=finalist.student,
        trial=finalist.trial,
        confirmed=True,
        document=finalist_document(
            confirmed.record, confirmed.comparison, confirmed.verdict, finalist, source.search.config
        ),
    )


def _searched(search: SearchRecord, trial: TrialRecord) -> dict[str, Any]:
    difference = compare_to_constant(search).of(trial.family)
    accuracies = [replicate.validation_accuracy for replicate in trial.history.replicates]
    return {
        "search": search.name,
        "trial": trial.number,
        **objective_value(search.objective, trial.history.score, "validation"),
        "validation_accuracy": statistics.fmean(accuracies) if accuracies else None,
        "seeds": [replicate.seed for replicate in trial.history.replicates],
        "lead_over_best_constant": difference.mean if difference else None,
        "lead_95_percent_interval": [difference.low, difference.high] if difference else None,
        "confirmed_on_test_set": False,
    }
