"""Reads a task's figures out of its confirmed search."""

from __future__ import annotations

import math
from typing import Any

import search
from search.confirm.finalist_constants import Candidate
from search.evidence import PairedTest, compare, judge_confirmation, teacher_score, title
from search.evidence.scores import Scores
from search.records import Finalist
from search.settings import GivenConstant


def figures(found: search.Search) -> dict[str, Any]:
    """Return the figures of a search that was confirmed, as plain data.

    Scores and gains are in points of accuracy, or in the unit of the task's own metric. Gains are positive where the
    first of two is better. The best rule is the one with the highest validation score on the fresh seeds.
    """
    record = found.confirmation
    assert record is not None
    answer = judge_confirmation(record)
    scores, comparison = Scores(record, "samples"), compare(record)
    rows = {row.key: row for row in comparison.rows}
    finalists = {finalist.key: finalist for finalist in record.finalists}
    baseline, labels = comparison.baseline, comparison.labels_alone
    assert baseline is not None
    assert labels is not None
    assert record.constant is not None
    assert record.constant.chosen is not None
    factor = 100.0 if record.objective.name == "accuracy" else 1.0
    turned = factor if record.objective.direction == "maximize" else -factor

    def gain(ours: str, theirs: str) -> dict[str, float | None] | None:
        return None if ours == theirs else _interval(scores.difference(ours, theirs), factor)

    rules = [row for row in comparison.rows if row.role == "rule" and row.whole]
    best = max(rules, key=lambda row: row.validation or -math.inf)
    assert best.claim is not None
    teacher = teacher_score(record)
    return {
        "metric": record.objective.name,
        "direction": record.objective.direction,
        "families": list(found.config.rule_families),
        "test_samples": record.test_size,
        "seeds": len(record.seeds),
        "teacher": None if teacher is None else turned * teacher,
        "labels_alone": turned * _known(labels.test),
        "verdict": answer.kind,
        "headline": answer.headline,
        "worth": answer.worth.kind if answer.worth else None,
        "bracketed": record.constant.bracketed,
        "constant": {
            "weight": _weight(finalists[baseline]),
            **{name: value for name, value in finalists[baseline].shared.items() if name in found.config.space.shared},
            "score": turned * _known(rows[baseline].test),
            "over_labels": gain(baseline, labels.key),
        },
        "best_rule": {
            "family": best.key,
            "score": turned * _known(best.test),
            "over_constant": gain(best.key, baseline),
            "over_labels": gain(best.key, labels.key),
            "p_corrected": best.claim.p_corrected,
        },
        "largest_gain": None if comparison.largest_gain is None else factor * comparison.largest_gain,
        "published": [
            {
                "weight": given.weight,
                **given.shared,
                "over_labels": gain(key, labels.key),
                "over_constant": gain(key, baseline),
            }
            for given in found.config.confirm.constants
            for key in [_given(given, finalists, finalists[record.constant.chosen])]
        ],
        "finalists": [
            {
                "key": key,
                "title": title(record, key),
                "role": row.role,
                "score": turned * _known(row.test),
                "over_constant": gain(key, baseline),
            }
            for key, row in rows.items()
            if row.test is not None
        ],
    }


def _given(given: GivenConstant, finalists: dict[str, Finalist], chosen: Finalist) -> str:
    """Return the key of the finalist that a given constant is; `chosen` has the settings that it leaves out."""
    asked = Candidate(given.weight, {**chosen.shared, **given.shared})
    constants = (finalist for finalist in finalists.values() if finalist.family == "fixed")
    return next(one.key for one in constants if asked.is_like(Candidate(_weight(one), one.shared)))


def _weight(finalist: Finalist) -> float:
    return float(finalist.parameters["weight"])


def _known(value: float | None) -> float:
    assert value is not None
    return value


def _interval(test: PairedTest | None, factor: float) -> dict[str, float | None] | None:
    if test is None:
        return None
    ends = {"low": test.low, "high": test.high}
    return {"mean": factor * test.mean, **{end: None if v is None else factor * v for end, v in ends.items()}}
