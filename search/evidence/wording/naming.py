"""Writes finalists, figures and intervals for a verdict."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from search.evidence.statistics.paired import PairedTest
from search.records import ConfirmationRecord, Finalist
from search.wording import Scale, count, family_title, number, setting_title

if TYPE_CHECKING:
    from search.evidence.gains import Gain
    from search.evidence.ranking import PairedDifference

    Uncertain: TypeAlias = PairedTest | PairedDifference | Gain


def finalist_of(record: ConfirmationRecord, key: str) -> Finalist:
    """Return the finalist with that key; raise `KeyError` if there is none."""
    return {finalist.key: finalist for finalist in record.finalists}[key]


def title(record: ConfirmationRecord, key: str) -> str:
    """Name a rule by its family and a constant by its λ.

    If finalists share that name, the settings in which they differ are added, or else the key.
    """
    finalist = finalist_of(record, key)
    name = _name(finalist)
    alike = [f for f in record.finalists if _name(f) == name]
    if len(alike) == 1:
        return name
    told = [
        f"{setting_title(setting)} {number(value)}"
        for setting, value in finalist.shared.items()
        if len({f.shared.get(setting) for f in alike}) > 1
    ]
    return f"{name} ({', '.join(told) or key})"


def _name(finalist: Finalist) -> str:
    if finalist.role == "rule":
        return family_title(finalist.family)
    weight = {"labels_alone": 0.0, "teacher_alone": 1.0}.get(finalist.role, finalist.parameters.get("weight"))
    return finalist.key if weight is None else f"λ = {number(weight)}"


def p_text(p_value: float) -> str:
    """Write a p-value: `p = 0.012`, `p < 0.001`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.2g}"


def with_interval(record: ConfirmationRecord, test: PairedTest) -> str:
    """Write `+1.20 points (95 % interval +0.80 to +1.60)`; add `seeds only` if it does not hold for new samples."""
    scale = Scale(record.objective)
    return f"{scale.margin(test.mean)} ({interval_in_words(scale, test, len(test.seeds))}{scope_label(test)})"


def scope_label(test: PairedTest) -> str:
    """Return `, seeds only` for an interval that does not hold for new test samples; else empty."""
    return ", seeds only" if test.seeds_only and test.low is not None and not test.too_few_seeds else ""


def interval_in_words(scale: Scale, difference: Uncertain, seeds: int) -> str:
    """Write `95 % interval +0.80 to +1.60`, or why there is none: `2 seeds are too few to tell`."""
    if difference.low is None or difference.high is None:
        return "noise not known"
    if difference.too_few_seeds:
        return f"{count(seeds, 'seed')} are too few to tell"
    return f"95 % interval {scale.interval(difference.low, difference.high)}"


def interval_cell(scale: Scale, difference: Uncertain, unknown: str = "–") -> str:
    """Write the same for a table with a column of intervals: `+0.80 to +1.60` or `too few seeds`."""
    if difference.low is None or difference.high is None:
        return unknown
    return "too few seeds" if difference.too_few_seeds else scale.interval(difference.low, difference.high)
