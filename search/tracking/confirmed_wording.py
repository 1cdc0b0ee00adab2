"""Names, tags, counts and describes a confirmation in MLflow."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence

from search.evidence import Comparison, ConfirmedVerdict, FinalistRow, Judgement, interval_cell, title
from search.metrics import METRICS, metrics_with
from search.records import ConfirmationRecord, Finalist, SearchRecord, SeedResult
from search.tracking import wording
from search.tracking.series import Point, points_of, value_of
from search.wording import Scale, count

FINALIST = "kd.finalist"
RESULTS = "kd.results"
_VERDICT = "kd.verdict"
_BREAKS = "kd.breaks"


def run_name(record: ConfirmationRecord, finalist: Finalist) -> str:
    """Return what the legend of a chart shows, such as `confirmed cosine > .2: .9, else .1` or `confirmed λ = 0.9`."""
    short = finalist.short_rule if finalist.role == "rule" else ""
    return wording.cut(f"confirmed {short or title(record, finalist.key)}", wording.MAX_NAME)


def finalist_tags(
    search: SearchRecord,
    record: ConfirmationRecord,
    comparison: Comparison,
    verdict: ConfirmedVerdict,
    finalist: Finalist,
    parent: str,
) -> dict[str, str]:
    """Return all tags of a finalist's run, except those that count what is written."""
    tags = {
        FINALIST: finalist.key,
        "kd.finalist_role": finalist.role,
        "kd.winner": "yes" if finalist.key == verdict.champion else "no",
        "kd.best_constant": "yes" if finalist.key == comparison.baseline else "no",
        wording.NOTE: _finalist_note(record, comparison, verdict, finalist),
    }
    if verdict.gating is not None:
        broken = verdict.gating.of(finalist.key).broken
        tags[_BREAKS] = ", ".join(f"{check.gate} ({check.value})" for check in broken) or "none"
    return wording.tags_below(search, parent, "finalist", finalist, tags)


def confirmation_tags(record: ConfirmationRecord, judgement: Judgement) -> dict[str, str]:
    """Return the confirmation's tags for the search's own run; without scores until a verdict names a winner."""
    verdict = judgement.verdict
    if verdict is None or verdict.winner is None:
        total = len(record.finalists) * len(record.seeds)
        return {"kd.confirmation": f"{len(record.results):,} of {count(total, 'training')}"}
    return wording.cut_tags(
        {
            "kd.confirmation": f"finished on {count(len(record.seeds), 'fresh seed')}",
            _VERDICT: verdict.headline,
            "kd.verdict_kind": verdict.kind,
            "kd.winner": verdict.champion or "none",
            **_gate_tags(verdict),
        }
    )


def _gate_tags(verdict: ConfirmedVerdict) -> dict[str, str]:
    """Return the tags of the KPI gates: the finalist that would win without them, and the gates that it breaks."""
    if verdict.gating is None:
        return {}
    broken = ", ".join(f"{check.gate} ({check.value})" for check in verdict.gating.winner.broken)
    return {
        "kd.gates": ", ".join(check.gate for check in verdict.gating.winner.checks),
        "kd.would_have_won": verdict.gating.would_win,
        _BREAKS: broken or "none",
    }


def confirmation_note(record: ConfirmationRecord, judgement: Judgement) -> str:
    """Write the verdict and a row for each finalist, best first, as Markdown."""
    verdict, comparison = judgement.verdict, judgement.finalists
    if verdict is None or comparison is None:
        return ""
    lines = [f"**{verdict.headline}**", ""]
    if judgement.is_confirmed:
        lines = [f"**{judgement.worth.text}**", "", *lines]
    if verdict.evidence:
        lines += [verdict.evidence, ""]
    if verdict.winner is None:
        return "\n".join(lines)
    if verdict.caveat:
        lines += [verdict.caveat, ""]
    scale = Scale(record.objective)
    unit = " (points)" if scale.is_accuracy else ""
    lines += [
        f"| finalist | {scale.on('validation')} | {scale.on('test')} | against the best constant{unit}"
        " | 95 % interval | p after Holm |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(comparison.rows, key=lambda row: -math.inf if row.test is None else row.test, reverse=True):
        name = title(record, row.key)
        lead, interval, p_value = _versus(scale, row)
        lines.append(
            f"| {f'**{name}**' if row.key == verdict.champion else name} | {scale.value(row.validation)}"
            f" | {scale.value(row.test)} | {'best constant' if row.key == comparison.baseline else lead}"
            f" | {interval} | {p_value} |"
        )
    return "\n".join([*lines, ""])


def confirmation_files(record: ConfirmationRecord, judgement: Judgement) -> dict[str, bytes]:
    """Return the verdict as MLflow's page shows it, as path -> content. Tables and figures are in the report."""
    return {"verdict.md": confirmation_note(record, judgement).encode()} if judgement.is_confirmed else {}


def seed_points(results: Sequence[SeedResult]) -> list[Point]:
    """Return each training's figures as points, with the seed as the step."""
    points = []
    for result in results:
        figures = result_figures(result) | {"training_seconds": result.seconds}
        named = {f"seed/{name}": value for name, value in figures.items()}
        points += points_of(named, result.seed, moment_of(result))
    return points


def finalist_points(record: ConfirmationRecord, row: FinalistRow, moment: int) -> list[Point]:
    """Return a finalist's single numbers as points. The number of seeds is the step, so that more seeds add points."""
    values = {
        "score": value_of(record.objective, row.validation),
        "test_score": value_of(record.objective, row.test),
        "test_score_std": row.spread,
        **_lead(row),
    }
    return points_of(values, len(row.seeds) + len(row.lost), moment)


def verdict_points(record: ConfirmationRecord, judgement: Judgement, moment: int) -> list[Point]:
    """Return the single numbers of a confirmation that has a winner, as points."""
    verdict, comparison = judgement.verdict, judgement.finalists
    if verdict is None or comparison is None or verdict.winner is None or verdict.baseline is None:
        return []
    winner = comparison.of(verdict.winner)
    values = {
        "winner_test_score": value_of(record.objective, winner.test),
        "constant_test_score": value_of(record.objective, comparison.of(verdict.baseline).test),
        "teacher_test_accuracy": None if record.teacher is None else record.teacher.accuracy,
        "detectable_gain": comparison.detectable,
        "smallest_gain": verdict.smallest_gain,
        "largest_gain": verdict.largest_gain,
        "worth": judgement.worth.mean,
        "worth_low": judgement.worth.low,
        "worth_high": judgement.worth.high,
        "seeds": len(record.seeds),
        **_lead(winner),
    }
    named = {f"confirmed/{name}": value for name, value in values.items()}
    return points_of(named, len(winner.seeds) + len(winner.lost), moment)


def moment_of(result: SeedResult) -> int:
    """Return when a training had ended, in milliseconds since 1970; its seed if that is not known."""
    # A point that is written again must have the same time, so that MLflow takes it for the same point.
    return result.seed if result.began is None else round(1000 * (result.began + result.seconds))


def fingerprint(results: Sequence[SeedResult]) -> str:
    """Return a text that changes with any of the results."""
    told = [
        (result.seed, result.began, result.validation.accuracy, *(metric.of_result(result) for metric in METRICS))
        for result in results
    ]
    return f"{len(results)} {zlib.crc32(json.dumps(told).encode()):08x}"


def _lead(row: FinalistRow) -> dict[str, float | None]:
    lead = row.difference
    return {
        "gain": lead.mean if lead else None,
        "gain_low": lead.low if lead else None,
        "gain_high": lead.high if lead else None,
        "p_corrected": row.claim.p_corrected if row.claim else None,
    }


def result_figures(result: SeedResult) -> dict[str, float | None]:
    """Return every metric of one training on the test pictures, and its validation accuracy; by name in MLflow."""
    tested = {
        metric.logged if metric.own else f"test_{metric.logged}": metric.of_result(result)
        for metric in metrics_with(result.own_kpis)
    }
    return {"validation_accuracy": result.validation.accuracy} | tested


def _versus(scale: Scale, row: FinalistRow) -> tuple[str, str, str]:
    test = row.difference
    if test is None:
        return "–", "–", "–"
    return scale.difference(test.mean), interval_cell(scale, test), f"{row.claim.p_corrected:.2g}" if row.claim else "–"


def _finalist_note(
    record: ConfirmationRecord, comparison: Comparison, verdict: ConfirmedVerdict, finalist: Finalist
) -> str:
    row, scale = comparison.of(finalist.key), Scale(record.objective)
    lead, interval, p_value = _versus(scale, row)
    lines = [f"**{finalist.rule}**", ""]
    if finalist.key == verdict.champion:
        lines += [f"The verdict names this one: {verdict.headline}", ""]
    told = f"On {count(len(row.seeds), 'fresh seed')}: {scale.on('test')} {scale.value(row.test)}"
    if row.spread is not None:
        told += f" {scale.spread(row.spread)}"
    if finalist.key == comparison.baseline:
        lines.append(f"{told}. It is the best constant.")
    else:
        unit = " points" if scale.is_accuracy else ""
        lines.append(f"{told}, {lead}{unit} against the best constant (95 % interval {interval}; p = {p_value}).")
    return "\n".join(lines)
