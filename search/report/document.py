"""The report's numbers as JSON."""

from __future__ import annotations

import json
import math
from typing import Any

from search.pareto import fronts
from search.records import SearchRecord, TrialRecord
from search.report.importance import Importance, importances
from search.report.ranking import compare_to_constant, rank_families
from search.report.verdict import judge

FORMAT = "kd-search-report"
VERSION = 1


def report_json(search: SearchRecord, *, computed: tuple[Importance, ...] | None = None) -> dict[str, Any]:
    """Every number of the report, as plain JSON values; what is not finite is null.

    Args:
        search: the search.
        computed: its importances, if they are at hand; they are what costs most here.
    """
    places = {trial.number: place for place, trial in enumerate(search.finished, start=1)}
    verdict = judge(search)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": search.name,
        "status": search.status,
        "created": search.created.isoformat() if search.created else None,
        "objective": _objective(search),
        "verdict": {**verdict.model_dump(mode="json"), "text": verdict.text},
        "confirmed_on_test_set": False,
        "families": [family.model_dump(mode="json") for family in rank_families(search)],
        "comparison_to_constant": _comparison(search),
        "fronts": [front.model_dump(mode="json") for front in fronts(search)],
        "importances": [
            item.model_dump(mode="json") for item in (importances(search) if computed is None else computed)
        ],
        "trials": [_trial(trial, places.get(trial.number)) for trial in search.trials],
        "teacher": {"validation_accuracy": search.teacher_accuracy, "parameters": search.teacher_parameters},
        "config": search.config,
    }
    plain: dict[str, Any] = _plain(document)
    return plain


def _objective(search: SearchRecord) -> dict[str, Any]:
    """What is searched for; each score below is its value times `score_sign`, so that higher is better."""
    objective = search.objective
    return {**objective.model_dump(mode="json"), "on": "validation", "score_sign": objective.score(1)}


def _comparison(search: SearchRecord) -> dict[str, Any]:
    comparison = compare_to_constant(search)
    return {
        **comparison.model_dump(mode="json"),
        "differences": [
            {**d.model_dump(mode="json"), "clearly_ahead": d.clearly_ahead, "clearly_behind": d.clearly_behind}
            for d in comparison.differences
        ],
    }


def _trial(trial: TrialRecord, place: int | None) -> dict[str, Any]:
    return {
        "place": place,
        "number": trial.number,
        "trial_id": trial.trial_id,
        "status": trial.status,
        "family": trial.family,
        "baseline": trial.baseline,
        "rule": trial.rule,
        "complexity": trial.complexity,
        "parameters": trial.parameters,
        "shared": trial.shared,
        "score": trial.score,
        "spread": trial.history.score_std if trial.score is not None else None,
        "seeds": [r.model_dump(mode="python") for r in trial.history.replicates] if trial.score is not None else [],
        "training_seconds": trial.history.training_seconds,
        "error": trial.error,
    }


def _plain(value: Any) -> Any:
    """`value` with tuples as lists, non-finite numbers as None, and other objects as their text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def report_text(document: dict[str, Any]) -> str:
    """The document as it is written to a file."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
