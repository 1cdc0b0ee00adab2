"""Writes the sentences on KPI gates."""

from __future__ import annotations

from search.evidence.answers import GatedFinalist, Gating
from search.evidence.comparison import Comparison
from search.evidence.gating.gates import metrics_by_name
from search.evidence.ranking import rule_title
from search.evidence.statistics.paired import mean
from search.evidence.wording.naming import title
from search.records import ConfirmationRecord, SearchRecord, TrialRecord
from search.settings import gates_of
from search.wording import Scale, sentence_case


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
    metrics, broken = metrics_by_name(own), []
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


def _broken(finalist: GatedFinalist) -> str:
    broken = [f"{check.gate} ({check.value})" for check in finalist.broken]
    if not broken:
        return "one gate or another with each single student"
    return f"the {'gate' if len(broken) == 1 else 'gates'} {'; '.join(broken)}"
