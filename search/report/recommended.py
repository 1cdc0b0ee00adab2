"""Which rule `policy.json` holds, and what speaks for it.

Once the search is confirmed it is what the verdict names: a rule that beat the best constant λ, or else that constant,
since it is what one should train with then. Before, it is the best trial, which is the best guess there is.
"""

from __future__ import annotations

import statistics
from typing import Any

from policies.document import policy_document
from policies.parameter import Value
from policies.registry import FAMILIES, create_policy
from search.confirmation import Finalist
from search.evidence.naming import finalist_of, title
from search.records import SearchRecord, TrialRecord
from search.report.ranking import CONSTANT_FAMILY, best_trials, compare_to_constant, rule_title
from search.report.source import Confirmed, ReportSource
from search.wording import number
from trainables.objective import Objective
from trainables.settings import Settings
from trainables.suggestion import BASE_STUDENT

_UNKNOWN_TEMPERATURE = 1.0


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
    document = _document(source.search, finalist)
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
        document={**document, "evidence": _confirmed(confirmed, finalist)} if document else {},
    )


def _document(search: SearchRecord, finalist: Finalist) -> dict[str, Any]:
    """Made from the search's settings, since a constant may be one that no trial has tried."""
    if finalist.family not in FAMILIES:
        return {}
    training = dict(search.config.get("training") or {})
    if "learning_rate" in finalist.shared:
        training["learning_rate"] = finalist.shared["learning_rate"]
    temperature = finalist.shared.get("temperature", search.config.get("temperature", _UNKNOWN_TEMPERATURE))
    policy = create_policy(finalist.family, dict(finalist.parameters))
    return policy_document(policy, temperature=float(temperature), training=training)


def _searched(search: SearchRecord, trial: TrialRecord) -> dict[str, Any]:
    difference = compare_to_constant(search).of(trial.family)
    accuracies = [replicate.validation_accuracy for replicate in trial.history.replicates]
    return {
        "search": search.name,
        "trial": trial.number,
        **_objective(search.objective, trial.history.score, "validation"),
        "validation_accuracy": statistics.fmean(accuracies) if accuracies else None,
        "seeds": [replicate.seed for replicate in trial.history.replicates],
        "lead_over_best_constant": difference.mean if difference else None,
        "lead_95_percent_interval": [difference.low, difference.high] if difference else None,
        "confirmed_on_test_set": False,
    }


def _confirmed(confirmed: Confirmed, finalist: Finalist) -> dict[str, Any]:
    record, row = confirmed.record, confirmed.comparison.of(finalist.key)
    results = [result for result in record.results if result.finalist == finalist.key]
    return {
        "search": record.search,
        "trial": finalist.trial,
        **_objective(record.objective, row.test, "test"),
        "test_accuracy": _mean([result.test.accuracy for result in results]),
        "validation_accuracy": _mean([result.validation.accuracy for result in results]),
        "seeds": list(record.seeds),
        "best_constant": title(record, confirmed.baseline),
        "lead_over_best_constant": row.difference.mean if row.difference else None,
        "lead_95_percent_interval": [row.difference.low, row.difference.high] if row.difference else None,
        "p_corrected": row.claim.p_corrected if row.claim else None,
        "beats_best_constant": row.claim.stands if row.claim else None,
        "chosen_by_verdict": finalist.key == confirmed.winner,
        "verdict": confirmed.verdict.headline,
        "confirmed_on_test_set": True,
    }


def _objective(objective: Objective, score: float | None, pictures: str) -> dict[str, Any]:
    return {
        "objective": objective.name,
        "objective_direction": objective.direction,
        "objective_value": None if score is None else objective.value(score),
        "objective_on": pictures,
    }


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
