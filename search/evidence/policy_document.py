"""Builds the `policy.json` of a confirmed finalist: its rule, its training settings and its evidence."""

from __future__ import annotations

import statistics
from typing import Any

from policies.document import policy_document
from policies.families import FAMILIES
from policies.registry import create_policy
from search.evidence.comparison import Comparison
from search.evidence.verdict import ConfirmedVerdict
from search.evidence.wording.naming import title
from search.records import ConfirmationRecord, Finalist
from search.settings import SearchConfig
from trainables.records import Objective


def finalist_document(
    record: ConfirmationRecord,
    comparison: Comparison,
    verdict: ConfirmedVerdict,
    finalist: Finalist,
    config: SearchConfig,
) -> dict[str, Any]:
    """Build the contents of the file; empty if the rule's family is not known here.

    Args:
        record: the confirmation's.
        comparison: the confirmation's.
        verdict: the confirmation's; it names a winner.
        finalist: one of the record's.
        config: the search's, since a constant may be one that no trial has tried.
    """
    if finalist.family not in FAMILIES:
        return {}
    training = config.training.model_dump(mode="json")
    if "learning_rate" in finalist.shared:
        training["learning_rate"] = finalist.shared["learning_rate"]
    temperature = finalist.shared.get("temperature", config.temperature)
    return policy_document(
        create_policy(finalist.family, dict(finalist.parameters)),
        temperature=float(temperature),
        training=training,
        evidence=_evidence(record, comparison, verdict, finalist),
    )


def objective_value(objective: Objective, score: float | None, pictures: str) -> dict[str, Any]:
    """Return the objective and the value that it reached, as the document's evidence writes them."""
    return {
        "objective": objective.name,
        "objective_direction": objective.direction,
        "objective_value": None if score is None else objective.value(score),
        "objective_on": pictures,
    }


def _evidence(
    record: ConfirmationRecord, comparison: Comparison, verdict: ConfirmedVerdict, finalist: Finalist
) -> dict[str, Any]:
    row = comparison.of(finalist.key)
    results = [result for result in record.results if result.finalist == finalist.key]
    lead = row.difference
    return {
        "search": record.search,
        "trial": finalist.trial,
        **objective_value(record.objective, row.test, "test"),
        "test_accuracy": _mean([result.test.accuracy for result in results]),
        "validation_accuracy": _mean([result.validation.accuracy for result in results]),
        "seeds": list(row.seeds),
        "best_constant": title(record, comparison.baseline) if comparison.baseline else None,
        "lead_over_best_constant": lead.mean if lead else None,
        "lead_95_percent_interval": [lead.low, lead.high] if lead else None,
        "p_corrected": row.claim.p_corrected if row.claim else None,
        "beats_best_constant": row.claim.stands if row.claim else None,
        "chosen_by_verdict": finalist.key == verdict.winner,
        "verdict": verdict.text,
        "confirmed_on_test_set": True,
    }


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
