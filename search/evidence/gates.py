"""Judges which finalists keep the KPI gates, and chooses the champion among those.

Gates do not change what was measured: which finalist gains more is the verdict's own answer. They decide which finalist
may be used. A figure's value is the mean over the fresh seeds on the test set, without an interval, as a user who
trains again will find it. A cost is that of the one student that was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from search.evidence.answers import GateCheck, GatedFinalist, Gating
from search.evidence.choice import Choice
from search.evidence.comparison import Comparison
from search.evidence.ranking import rule_title
from search.evidence.statistics.paired import mean
from search.evidence.wording.naming import title
from search.metrics import RUNNING_COSTS, Metric, metrics_with
from search.records import ConfirmationRecord, SearchRecord, SeedResult, TrialRecord
from search.settings import Gate, gates_of
from search.wording import Scale, sentence_case


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


def headline_of(record: ConfirmationRecord, found: Gating) -> str:
    """Write the headline where the gates turn the winner down; empty where they do not."""
    if not found.turned_down:
        return ""
    broken = f"{sentence_case(title(record, found.would_win))} would have won, but breaks {_broken(found.winner)}"
    if found.champion is None:
        return f"No champion: no finalist keeps every gate. {broken}."
    return f"{broken}: use {title(record, found.champion)}."


def sentence_of(record: ConfirmationRecord, comparison: Comparison, found: Gating) -> str:
    """Say how the gates were kept, and how far the champion's claim goes."""
    if found.champion is None:
        return ""
    checks = found.of(found.champion).checks
    told = "; ".join(f"{check.gate} ({check.value})" for check in checks)
    name = sentence_case(title(record, found.champion))
    kept = f"{name} keeps every gate on the test set, as the mean over the fresh seeds: {told}."
    if not found.turned_down or found.champion == comparison.baseline:
        return kept
    row = comparison.of(found.champion)
    if row.claim is not None and row.claim.stands:
        return kept
    scale = Scale(record.objective)
    return f"{kept} Of the finalists that do, it has the best {scale.on('validation')}; it is not shown to be the best."


def changed_sentence(record: ConfirmationRecord) -> str:
    """Write a caveat if the gates changed when results were known."""
    return "The gates were changed after results were known." if record.gates_changed else ""


def unconfirmed_sentence(search: SearchRecord, trial: TrialRecord) -> str:
    """Say which gates the best trial of an unconfirmed search breaks on the validation set; empty if none."""
    results = trial.history.replicates
    own = {name for result in results for name in result.own_kpis}
    metrics, broken = _metrics(own), []
    for gate in gates_of(search.config.gates, own):
        if gate.is_cost or gate.name not in metrics:
            continue
        values = [metrics[gate.name].in_search(result) for result in results]
        value = mean([one for one in values if one is not None]) if None not in values else None
        if not gate.holds(value):
            broken.append(f"{gate.words} ({gate.shown(value)})")
    if not broken:
        return ""
    name = sentence_case(rule_title(trial.family, trial.parameters))
    which = "gate" if len(broken) == 1 else "gates"
    return (
        f"{name} breaks the {which} {'; '.join(broken)} on the validation set. A confirmation decides on the test set."
    )


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
    metric = _metrics(result.own_kpis).get(gate.name)
    return None if metric is None else metric.of_result(result)


def _metrics(own: Mapping[str, float] | set[str]) -> dict[str, Metric]:
    return {metric.name: metric for metric in metrics_with(own)}


def _broken(finalist: GatedFinalist) -> str:
    broken = [f"{check.gate} ({check.value})" for check in finalist.broken]
    if not broken:
        return "one gate or another with each single student"
    return f"the {'gate' if len(broken) == 1 else 'gates'} {'; '.join(broken)}"
