"""Chooses the rule that `policy.json` holds, and collects the evidence for it.

Once the search is confirmed, it is the verdict's winner: a rule that beat the best constant λ, or else that constant,
since that is then the one to train with. Before, it is the best trial, as the best guess so far.
"""

from __future__ import annotations

from typing import Any

from policies.parameter import Value
from search.evidence.conduct.acting import effective_trial
from search.evidence.confirmed import Confirmed
from search.evidence.policy_document import finalist_document, trial_document
from search.evidence.ranking import ConstantComparison, best_trials, rule_title
from search.evidence.wording.naming import finalist_of, title
from search.records import SearchRecord, TrialRecord
from search.settings import CONSTANT_FAMILY
from search.wording import number, setting_title
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
    """Return the rule to train with; None while there is none, or if no finalist keeps every KPI gate."""
    if confirmed is not None:
        return None if confirmed.champion is None else _of_finalist(search, confirmed, confirmed.champion)
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
    shared = [f"{setting_title(name)} {number(value)}" for name, value in recommended.shared.items()]
    trial = [] if recommended.trial is None else [f"trial {recommended.trial}"]
    student = [] if recommended.student == BASE_STUDENT else [f"student {recommended.student}"]
    return ", ".join([*trial, *student, *shared])


def _of_trial(search: SearchRecord, comparison: ConstantComparison, trial: TrialRecord) -> Recommended:
    did = effective_trial(trial)
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
        document=trial_document(search, trial, did, comparison),
    )


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
        document=finalist_document(confirmed, finalist, search),
    )
