"""Builds the report's numbers as JSON."""

from __future__ import annotations

import json
import math
import statistics
from typing import Any

from search.evidence import ConstantComparison, Importance, ReportSource, fronts, importances
from search.metrics import metrics_with
from search.records import ENDED, ConfirmationRecord, SearchRecord, TrialRecord
from search.report.tables.costs import costs
from search.report.tables.finalists import ranked_finalists
from search.report.tables.guard import guard_table
from search.report.tables.kpis import kpi_table
from trainables.settings import Settings

FORMAT = "kd-search-report"
VERSION = 2


def report_json(source: ReportSource, *, computed: tuple[Importance, ...] | None = None) -> dict[str, Any]:
    """Return every number of the report, as plain JSON values; a number that is not finite is null.

    `verdict` is the confirmation's once there is one; `search_verdict` is always the search's own.

    Args:
        source: the data of the report.
        computed: the search's importances, if they are already known; computing them takes the longest here.
    """
    search, judgement = source.search, source.judgement
    places = {trial.number: place for place, trial in enumerate(search.finished, start=1)}
    first, searched, recommended = judgement.answer, judgement.search_verdict, judgement.recommended
    document = {
        "format": FORMAT,
        "version": VERSION,
        "name": search.name,
        "status": search.status,
        "created": search.created.isoformat() if search.created else None,
        "objective": _objective(search),
        "worth": judgement.worth.model_dump(mode="json"),
        "verdict": {**first.model_dump(mode="json"), "command": source.command, "text": first.text},
        "search_verdict": {**searched.model_dump(mode="json"), "text": searched.text},
        "remarks": [remark.model_dump(mode="json") for remark in judgement.remarks],
        "confirmed_on_test_set": first.confirmed,
        "recommended": None if recommended is None else recommended.model_dump(mode="json", exclude={"document"}),
        "gains": [gain.model_dump(mode="json") for gain in judgement.gains],
        "kpis": _dumped(kpi_table(source)),
        "costs": [cost.model_dump(mode="json") for cost in costs(source)],
        "guard": _dumped(guard_table(source)),
        "confirmation": _confirmation(source),
        "families": [family.model_dump(mode="json") for family in judgement.families],
        "constant_curve": _dumped(judgement.curve),
        "comparison_to_constant": _comparison(judgement.comparison),
        "student": judgement.student,
        "students": [row.model_dump(mode="json") for row in judgement.students],
        "fronts": [front.model_dump(mode="json") for front in fronts(source.search)],
        "importances": [
            {**item.model_dump(mode="json"), "clear": item.clear, "text": item.sentence}
            for item in (importances(search) if computed is None else computed)
        ],
        "trials": [_trial(trial, places.get(trial.number)) for trial in source.search.trials],
        "teacher": {"validation_accuracy": search.teacher_accuracy, "parameters": search.teacher_parameters},
        "config": search.config.model_dump(mode="json"),
    }
    plain: dict[str, Any] = _plain(document)
    return plain


def _confirmation(source: ReportSource) -> dict[str, Any] | None:
    """Return the confirmation as far as it has come; comparisons and finalists only once it is complete."""
    record, verdict, confirmed = source.confirmation, source.judgement.verdict, source.confirmed
    if record is None or verdict is None:
        return None
    return {
        "complete": record.complete,
        "seeds": record.seeds,
        "trainings": len(record.results),
        "test_size": record.test_size,
        "verdict": {**verdict.model_dump(mode="json"), "text": verdict.text},
        "comparison": _dumped(confirmed.comparison) if confirmed else None,
        "finalists": [row.model_dump(mode="json") for row in ranked_finalists(confirmed)] if confirmed else [],
        "scores": {f.key: _by_seed(record, f.key) for f in record.finalists} if confirmed else {},
        "teacher": _dumped(record.teacher),
        "teacher_kpis": record.teacher_kpis,
        "teacher_figures": _dumped(record.teacher_figures),
        "student_figures": _dumped(record.student_figures),
    }


def _by_seed(record: ConfirmationRecord, key: str) -> dict[str, dict[str, Any]]:
    """Return a finalist's scores by seed on both sets."""
    return {
        str(result.seed): {
            "test": record.score(result),
            "validation": record.score(result, "validation"),
            "own_kpis": result.own_kpis,
        }
        for result in record.results
        if result.finalist == key
    }


def _dumped(value: Settings | None) -> dict[str, Any] | None:
    return None if value is None else value.model_dump(mode="python")


def _objective(search: SearchRecord) -> dict[str, Any]:
    """Return what is searched for. Each score below is its value times `score_sign`, so that higher is better."""
    objective = search.objective
    return {**objective.model_dump(mode="json"), "on": "validation", "score_sign": objective.score(1)}


def _comparison(comparison: ConstantComparison) -> dict[str, Any]:
    return {
        **comparison.model_dump(mode="json"),
        "differences": [
            {**d.model_dump(mode="json"), "above_zero": d.above_zero, "below_zero": d.below_zero}
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
        "student": trial.student,
        "baseline": trial.baseline,
        "rule": trial.rule,
        "complexity": trial.complexity,
        "parameters": trial.parameters,
        "shared": trial.shared,
        "score": trial.score,
        "spread": trial.history.score_std if trial.score is not None else None,
        "partial_score": trial.partial_score if trial.status == "eliminated" else None,
        "seeds": [r.model_dump(mode="python") for r in trial.history.replicates] if trial.status in ENDED else [],
        "metrics": _metrics(trial),
        "training_seconds": trial.history.training_seconds,
        "error": trial.error,
    }


def _metrics(trial: TrialRecord) -> dict[str, Any]:
    """Return mean and standard deviation over the seeds of every metric that all seeds have.

    The metrics are those on the validation pictures.
    """
    found, results = {}, trial.history.replicates if trial.status in ENDED else ()
    for metric in metrics_with(name for result in results for name in result.own_kpis):
        known = [value for result in results if (value := metric.in_search(result)) is not None]
        if known and len(known) == len(results):
            deviation = statistics.stdev(known) if len(known) > 1 else None
            found[metric.name] = {"mean": statistics.fmean(known), "spread": deviation}
    return found


def _plain(value: Any) -> Any:
    """Return `value` with tuples as lists, non-finite numbers as None, and other objects as their text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


def report_text(document: dict[str, Any]) -> str:
    """Return the document as it is written to a file."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
