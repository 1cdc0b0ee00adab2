"""Chooses the rule that `policy.json` holds, and collects the evidence for it.

Once the search is confirmed, it is the verdict's winner: a rule that beat the best constant λ, or else that constant,
since that is then the one to train with. Before, it is the best trial, as the best guess so far.
"""

from __future__ import annotations

import statistics
from typing import Any

from policies.families import FAMILIES
from policies.parameter import Value
from policies.registry import create_policy
from search.evidence.conduct.acting import Effective, effective_trial
from search.evidence.confirmed import Confirmed
from search.evidence.policy_document import finalist_document, objective_value
from search.evidence.ranking import ConstantComparison, best_trials, rule_title
from search.evidence.wording.naming import finalist_of, title
from search.records import SearchRecord, TrialRecord
from search.settings import CONSTANT_FAMILY
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
    """The student's name in the search."""
    trial: int | None
    """The trial's number; None for a constant that only the confirmation has tried."""
    confirmed: bool
    document: dict[str, Any]
    """The contents of its `policy.json`, with the evidence; empty if the rule's family is unknown."""


def recommend(search: SearchRecord, comparison: ConstantComparison, confirmed: Confirmed | None) -> Recommended | None:
    """Return the rule to train with; None while there is none."""
    if confirmed is not None:
        return _of_finalist(search, confirmed, confirmed.winner)
    best = search.finished
    return _of_trial(search, comparison, best[0]) if best else None


def best_of_families(
    search: SearchRecord, comparison: ConstantComparison, confirmed: Confirmed | None
) -> dict[str, Recommended]:
    """Return each family's best rule. Finalists come with the confirmation's evidence, as does the best constant."""
    found = {family: _of_trial(search, comparison, trial) for family, trial in best_trials(search).items()}
    if confirmed is not None:
        rules = [finalist for finalist in confirmed.record.finalists if finalist.role == "rule"]
        found |= {rule.family: _of_finalist(search, confirmed, rule.key) for rule in rules}
        found[CONSTANT_FAMILY] = _of_finalist(search, confirmed, confirmed.baseline)
    return found


def settings_in_words(recommended: Recommended) -> str:
    """Write `trial 12, learning rate 0.0138`. The student is named too, unless it is the search file's own."""
    shared = [f"{name.replace('_', ' ')} {number(value)}" for name, value in recommended.shared.items()]
    trial = [] if recommended.trial is None else [f"trial {recommended.trial}"]
    student = [] if recommended.student == BASE_STUDENT else [f"student {recommended.student}"]
    return ", ".join([*trial, *student, *shared])


def _of_trial(search: SearchRecord, comparison: ConstantComparison, trial: TrialRecord) -> Recommended:
    did = effective_trial(trial)
    document = _document(trial, did)
    return Recommended(
        title=rule_title(did.family, did.parameters),
        family=did.family,
        rule=trial.rule if did.acts and not did.note else did.text,
        complexity=did.complexity,
        parameters=did.parameters,
        shared=trial.shared,
        student=trial.student,
        trial=trial.number,
        confirmed=False,
        document={**document, "evidence": _searched(search, comparison, trial, did)} if document else {},
    )


def _document(trial: TrialRecord, did: Effective) -> dict[str, Any]:
    """Return the trial's `policy.json`, with the rule that it followed in effect."""
    document = trial.history.policy
    if did.acts or not document or did.family not in FAMILIES:
        return document
    policy = create_policy(did.family, did.parameters)
    own = {"family": policy.family, "parameters": policy.values(), "rule": policy.rule()}
    return {name: value for name, value in document.items() if name != "origin"} | own


def _of_finalist(search: SearchRecord, confirmed: Confirmed, key: str) -> Recommended:
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
        document=finalist_document(confirmed.record, confirmed.comparison, confirmed.verdict, finalist, search.config),
    )


def _searched(
    search: SearchRecord, comparison: ConstantComparison, trial: TrialRecord, did: Effective
) -> dict[str, Any]:
    difference = comparison.of(trial.family)
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
        **({} if did.acts else {"searched_as": trial.rule, "what_it_did": did.text}),
    }
