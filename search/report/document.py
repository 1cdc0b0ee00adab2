"""Builds the report's numbers as JSON."""

from __future__ import annotations

import json
from typing import Any

import pydantic

from search.evidence import (
    ConstantComparison,
    Importance,
    ReportSource,
    fronts,
    importances,
    transfer_headline,
    transfer_sentences,
)
from search.metrics import metrics_with
from search.records import ENDED, ConfirmationRecord, TrialRecord
from search.report.tables.costs import costs
from search.report.tables.finalists import ranked_finalists
from search.report.tables.guard import guard_table
from search.report.tables.kpis import KPIValue, kpi_table, value_over_seeds
from search.settings import without_texts

FORMAT = "kd-search-report"
VERSION = 2
_AS_RECORDED = (
    "number", "trial_id", "status", "family", "student", "baseline", "rule", "complexity", "parameters", "shared",
    "score",
)  # fmt: skip
"""The keys of a trial whose values are those of its record."""


def report_json(source: ReportSource, *, computed: tuple[Importance, ...] | None = None) -> dict[str, Any]:
    """Return every number of the report, as plain JSON values; a number that is not finite is null.

    `verdict` is the confirmation's once there is one; `search_verdict` is always the search's own. Each score is its
    value times `score_sign`, so that higher is better.

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
        "objective": {**dict(search.objective), "on": "validation", "score_sign": search.objective.score(1)},
        "worth": judgement.worth,
        "verdict": {**dict(first), "command": source.command, "text": first.text},
        "search_verdict": {**dict(searched), "text": searched.text},
        "remarks": judgement.remarks,
        "confirmed_on_test_set": first.confirmed,
        "recommended": recommended and recommended.model_dump(exclude={"document"}),
        "gains": judgement.gains,
        "kpis": kpi_table(source),
        "costs": costs(source),
        "guard": guard_table(source),
        "confirmation": _confirmation(source),
        "transfers": [
            {**dict(found), "headline": transfer_headline(found), "sentences": transfer_sentences(found)}
            for found in source.transferred
        ],
        "families": judgement.families,
        "constant_curve": judgement.curve,
        "comparison_to_constant": _comparison(judgement.comparison),
        "student": judgement.student,
        "students": judgement.students,
        "fronts": fronts(search),
        "importances": [
            {**dict(item), "clear": item.clear, "text": item.sentence}
            for item in (importances(search) if computed is None else computed)
        ],
        "trials": [_trial(trial, places.get(trial.number)) for trial in search.trials],
        "teacher": {"validation_accuracy": search.teacher_accuracy, "parameters": search.teacher_parameters},
        "config": without_texts(search.config.model_dump(mode="json")),
    }
    plain: dict[str, Any] = json.loads(pydantic.TypeAdapter(dict[str, Any]).dump_json(document, fallback=str))
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
        "verdict": {**dict(verdict), "text": verdict.text},
        "comparison": confirmed.comparison if confirmed else None,
        "finalists": ranked_finalists(confirmed) if confirmed else (),
        "scores": {f.key: _by_seed(record, f.key) for f in record.finalists} if confirmed else {},
        "teacher": record.teacher,
        "teacher_kpis": record.teacher_kpis,
        "teacher_figures": record.teacher_figures,
        "student_figures": record.student_figures,
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


def _comparison(comparison: ConstantComparison) -> dict[str, Any]:
    differences = [{**dict(d), "above_zero": d.above_zero, "below_zero": d.below_zero} for d in comparison.differences]
    return {**dict(comparison), "differences": differences}


def _trial(trial: TrialRecord, place: int | None) -> dict[str, Any]:
    return {
        "place": place,
        **{name: getattr(trial, name) for name in _AS_RECORDED},
        "spread": trial.history.score_std if trial.score is not None else None,
        "partial_score": trial.partial_score if trial.status == "eliminated" else None,
        "seeds": trial.history.replicates if trial.status in ENDED else (),
        "metrics": _metrics(trial) if trial.status in ENDED else {},
        "training_seconds": trial.history.training_seconds,
        "error": trial.error,
    }


def _metrics(trial: TrialRecord) -> dict[str, KPIValue]:
    """Return mean and standard deviation over the seeds of every metric that all seeds have.

    The metrics are those on the validation pictures.
    """
    results = trial.history.replicates
    measured = {
        metric.name: [metric.in_search(result) for result in results]
        for metric in metrics_with(name for result in results for name in result.own_kpis)
    }
    return {name: value_over_seeds(values) for name, values in measured.items() if values and None not in values}


def report_text(document: dict[str, Any]) -> str:
    """Return the document as it is written to a file."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
