"""Builds the files that MLflow keeps with a run.

Tables are CSV, which MLflow's page shows as tables. `log_table` is not used: it appends to a table that is there.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence

from search.evidence import on_fronts
from search.records import SearchRecord, TrialRecord
from search.settings import without_texts
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
        names = ("lambda" if field == "weight" else field for field in DecisionEntry._fields)
        files["decisions.csv"] = _csv([names, *decisions])
    if history.epochs:
        files["history.json"] = history.to_json().encode()
    return files


def search_files(search: SearchRecord) -> dict[str, bytes]:
    """Return the resolved settings, and the trials ranked with their fronts, as name -> content.

    The texts of the user's own files are left out.
    """
    on_front = on_fronts(search)
    rows: list[tuple[object, ...]] = [("rank", "trial", "family", "score", "score_std", "complexity", "front", "rule")]
    for rank, trial in enumerate(search.finished, start=1):
        front = "; ".join(" and ".join(costs) for costs in on_front[trial.number])
        score = (trial.score, trial.history.score_std)
        rows.append((rank, trial.number, trial.family, *score, trial.complexity, front, trial.rule))
    settings = json.dumps(without_texts(search.config.model_dump(mode="json")), indent=2, ensure_ascii=False)
    return {"search.json": settings.encode(), "ranking.csv": _csv(rows)}


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue().encode()
