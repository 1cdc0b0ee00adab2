"""Builds the files that MLflow keeps with a run.

Tables are CSV, which MLflow's page shows as tables. `log_table` is not used: it appends to a table that is there.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from search.evidence import on_fronts
from search.records import SearchRecord, TrialRecord
from trainables.records import DecisionEntry


def trial_files(trial: TrialRecord, decisions: Sequence[DecisionEntry] = ()) -> dict[str, bytes]:
    """Return the policy, its decision log and every number of the trial, as name -> content, as far as they exist.

    The log is stored as Parquet with the trial, but here as CSV, which MLflow's page shows as a table.
    """
    history = trial.history
    files = {}
    if history.policy:
        files["policy.json"] = json.dumps(history.policy, indent=2, ensure_ascii=False).encode()
    if decisions:
        rows = io.StringIO()
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow("lambda" if field == "weight" else field for field in DecisionEntry._fields)
        writer.writerows(decisions)
        files["decisions.csv"] = rows.getvalue().encode()
    if history.epochs:
        files["history.json"] = history.to_json().encode()
    return files


def search_files(search: SearchRecord) -> dict[str, bytes]:
    """Return the resolved search file, and its trials ranked with their fronts, as name -> content."""
    rows = io.StringIO()
    writer, on_front = csv.writer(rows, lineterminator="\n"), on_fronts(search)
    writer.writerow(("rank", "trial", "family", "score", "score_std", "complexity", "front", "rule"))
    writer.writerows(
        (
            rank,
            trial.number,
            trial.family,
            trial.score,
            trial.history.score_std,
            trial.complexity,
            "; ".join(" and ".join(costs) for costs in on_front[trial.number]),
            trial.rule,
        )
        for rank, trial in enumerate(search.finished, start=1)
    )
    settings = json.dumps(search.config.model_dump(mode="json"), indent=2, ensure_ascii=False)
    return {"search.json": settings.encode(), "ranking.csv": rows.getvalue().encode()}
