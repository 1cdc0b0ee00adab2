"""The files that MLflow keeps with a run, as text."""

from __future__ import annotations

import csv
import io
import json

from search.records import SearchRecord, TrialRecord


def trial_files(trial: TrialRecord) -> dict[str, str]:
    """Name -> text: the policy, its changes of mind, and every number of the trial; only those there are."""
    history = trial.history
    files = {}
    if history.policy:
        files["policy.json"] = json.dumps(history.policy, indent=2, ensure_ascii=False)
    if history.decisions:
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(("step", "lambda", "reason"))
        writer.writerows((decision.step, decision.weight, decision.reason) for decision in history.decisions)
        files["decisions.csv"] = rows.getvalue()
    if history.epochs:
        files["history.json"] = history.to_json()
    return files


def search_files(search: SearchRecord) -> dict[str, str]:
    """Name -> text: the resolved search file, and its trials ranked."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(("rank", "trial", "family", "score", "score_std", "complexity", "rule"))
    writer.writerows(
        (rank, trial.number, trial.family, trial.score, trial.history.score_std, trial.complexity, trial.rule)
        for rank, trial in enumerate(search.finished, start=1)
    )
    return {"search.json": json.dumps(search.config, indent=2, ensure_ascii=False), "ranking.csv": rows.getvalue()}
