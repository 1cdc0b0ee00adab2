"""Builds the `policy.json` of a trial or of a confirmed finalist: its rule, its training settings and its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from policies.document import policy_document
from policies.families import FAMILIES
from policies.parameter import Value
from policies.registry import create_policy
from search.evidence.conduct.acting import Effective
from search.evidence.confirmed import Confirmed
from search.evidence.ranking import ConstantComparison, PairedDifference
from search.evidence.statistics.paired import PairedTest, mean
from search.evidence.statistics.prediction import prediction_ranges
from search.evidence.wording.naming import finalist_of, title
from search.records import Finalist, SearchRecord, TrialRecord
from search.settings import CONSTANT_FAMILY
from trainables.records import Conduct, Objective
from trainables.suggestion import options_of


def trial_document(
    search: SearchRecord, trial: TrialRecord, did: Effective, comparison: ConstantComparison
) -> dict[str, Any]:
    """Build the contents of a trial's file, with the rule that it followed in effect; empty if it has none.

    Args:
        search: the trial's.
        trial: a finished one.
        did: what its rule did.
        comparison: the search's rules against its best constant.
    """
    document, replicates = trial.history.policy, trial.history.replicates
    if not document:
        return {}
    if not did.acts and did.family in FAMILIES:
        policy = create_policy(did.family, did.parameters)
        own = {"family": policy.family, "parameters": policy.values(), "rule": policy.rule()}
        document = {name: value for name, value in document.items() if name != "origin"} | own
    evidence = {
        "search": search.name,
        "trial": trial.number,
        **_reached(search.objective, trial.history.score, "validation"),
        "validation_accuracy": mean(replicate.validation_accuracy for replicate in replicates),
        "seeds": [replicate.seed for replicate in replicates],
        **_lead(comparison.of(trial.family)),
        "confirmed_on_test_set": False,
        **({} if did.acts else {"searched_as": trial.rule, "what_it_did": did.text}),
    }
    constant = comparison.constant
    return {
        **document,
        "evidence": evidence,
        **({} if constant is None else _constant(document, constant.parameters, constant.shared, search)),
        **_monitoring([replicate.conduct for replicate in replicates]),
    }


def finalist_document(confirmed: Confirmed, finalist: Finalist, search: SearchRecord) -> dict[str, Any]:
    """Build the contents of a finalist's file; empty if the rule's family is not known here.

    Args:
        confirmed: the confirmation with its answer.
        finalist: one of its finalists.
        search: the search, since a constant may be one that no trial has tried.
    """
    if finalist.family not in FAMILIES:
        return {}
    config = search.config
    training = config.training.in_effect("" if search.pictures is None else search.pictures.own_optimizer)
    if "learning_rate" in finalist.shared:
        training["learning_rate"] = finalist.shared["learning_rate"]
    record, verdict, row = confirmed.record, confirmed.verdict, confirmed.comparison.of(finalist.key)
    results = [result for result in record.results if result.finalist == finalist.key]
    evidence = {
        "search": record.search,
        "trial": finalist.trial,
        **_reached(record.objective, row.test, "test"),
        "test_accuracy": mean(result.test.accuracy for result in results),
        "validation_accuracy": mean(result.validation.accuracy for result in results),
        "seeds": list(row.seeds),
        "best_constant": title(record, confirmed.baseline),
        **_lead(row.difference),
        "p_corrected": row.claim.p_corrected if row.claim else None,
        "beats_best_constant": row.claim.stands if row.claim else None,
        "chosen_by_verdict": finalist.key == verdict.champion,
        "verdict": verdict.text,
        "confirmed_on_test_set": True,
    }
    baseline = finalist_of(record, confirmed.baseline)
    document = policy_document(
        create_policy(finalist.family, dict(finalist.parameters)),
        temperature=float(finalist.shared.get("temperature", config.temperature)),
        training=training,
        **({"options": options} if (options := options_of(finalist.shared)) else {}),
        evidence=evidence,
    )
    return {
        **document,
        **_constant(document, baseline.parameters, baseline.shared, search),
        **_monitoring([result.conduct for result in results]),
    }


def _constant(
    document: Mapping[str, Any], parameters: Mapping[str, Value], shared: Mapping[str, float], search: SearchRecord
) -> dict[str, Any]:
    """Return the best constant, to which a monitored training may fall back; empty for a constant's own document."""
    if document["family"] == CONSTANT_FAMILY:
        return {}
    found = {"weight": parameters["weight"], "temperature": search.config.temperature}
    found |= {name: shared[name] for name in ("temperature", "learning_rate") if name in shared}
    return {"constant": found}


def _monitoring(conducts: Sequence[Conduct | None]) -> dict[str, Any]:
    """Return the ranges of the rule's readings; empty where too few trainings recorded them."""
    ranges = prediction_ranges(conducts)
    return {} if ranges is None else {"monitoring": ranges.document()}


def _reached(objective: Objective, score: float | None, pictures: str) -> dict[str, Any]:
    return {
        "objective": objective.name,
        "objective_direction": objective.direction,
        "objective_value": None if score is None else objective.value(score),
        "objective_on": pictures,
    }


def _lead(difference: PairedTest | PairedDifference | None) -> dict[str, Any]:
    return {
        "lead_over_best_constant": difference.mean if difference else None,
        "lead_95_percent_interval": [difference.low, difference.high] if difference else None,
    }
