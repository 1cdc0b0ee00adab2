"""Judges which finalists keep the KPI gates, and chooses the champion among those.

Gates do not change what was measured: which finalist gains more is the verdict's own answer. They decide which finalist
may be used. A figure's value is the mean over the fresh seeds on the test set, without an interval, as a user who
trains again will find it. A cost is that of the one student that was measured.
"""

from __future__ import annotations

from collections.abc import Iterable

from search.evidence.answers import GateCheck, GatedFinalist, Gating
from search.evidence.choice import Choice
from search.evidence.comparison import Comparison
from search.evidence.statistics.paired import mean
from search.metrics import RUNNING_COSTS, Metric, metrics_with
from search.records import ConfirmationRecord, SeedResult
from search.settings import Gate, gates_of


def gating(record: ConfirmationRecord, comparison: Comparison, winner: str, choice: Choice | None) -> Gating | None:
    """Check every finalist against the gates, and choose the champion.

    The champion is the first of these that keeps every gate: the verdict's winner; if that is a rule, the other rules
    that beat the best constant, the simplest first; the best constant; the other finalists by their validation scores.

    Args:
        record: of a complete confirmation.
        comparison: the confirmation's.
        winner: the verdict's choice without gates.
        choice: the rules that beat the constant; None without one.

    Returns:
        The outcome; None without gates.
    """
    gates = confirmed_gates(record)
    if not gates:
        return None
    finalists = {finalist.key: _gated(gates, record, finalist.key) for finalist in record.finalists}
    baseline = comparison.baseline
    standing = () if choice is None or choice.winner != winner else choice.standing
    others = sorted((row for row in comparison.rows if row.whole), key=lambda row: -(row.validation or 0.0))
    order = dict.fromkeys([winner, *standing, *([] if baseline is None else [baseline]), *(row.key for row in others)])
    champion = next((key for key in order if finalists[key].passes), None)
    return Gating(would_win=winner, champion=champion, finalists=tuple(finalists.values()))


def confirmed_gates(record: ConfirmationRecord) -> tuple[Gate, ...]:
    """Return the gates of a confirmation."""
    names = {name for result in record.results for name in result.own_kpis}
    return gates_of(record.gates, names)


def passes_itself(record: ConfirmationRecord, result: SeedResult, gates: Iterable[Gate] | None = None) -> bool:
    """Tell whether one student by itself keeps every gate on the test set."""
    checked = confirmed_gates(record) if gates is None else gates
    return all(gate.holds(_value(gate, record, result)) for gate in checked)


def _gated(gates: tuple[Gate, ...], record: ConfirmationRecord, key: str) -> GatedFinalist:
    results = [result for result in record.results if result.finalist == key]
    return GatedFinalist(
        key=key,
        checks=tuple(_check(gate, record, results) for gate in gates),
        students=sum(passes_itself(record, result, gates) for result in results),
    )


def _check(gate: Gate, record: ConfirmationRecord, results: list[SeedResult]) -> GateCheck:
    values = [_value(gate, record, result) for result in results]
    known = [value for value in values if value is not None]
    value = mean(known) if known and len(known) == len(values) else None
    return GateCheck(
        name=gate.name,
        gate=gate.words,
        value=gate.shown(value),
        number=value,
        passes=gate.holds(value),
        students=None if gate.is_cost else sum(map(gate.holds, values)),
    )


def _value(gate: Gate, record: ConfirmationRecord, result: SeedResult) -> float | None:
    if gate.is_cost:
        figures = record.student_figures
        return None if figures is None else RUNNING_COSTS[gate.name].of(figures)
    metric = metrics_by_name(result.own_kpis).get(gate.name)
    return None if metric is None else metric.of_result(result)


def metrics_by_name(own: Iterable[str]) -> dict[str, Metric]:
    """Return all metrics of students that were measured with these KPIs of the user's own."""
    return {metric.name: metric for metric in metrics_with(own)}
