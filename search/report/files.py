"""A search's report as files: the page, its numbers, and the policies to use."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import statistics
import tempfile

from policies.registry import FAMILIES
from search.errors import SearchError
from search.records import SearchRecord, TrialRecord
from search.report.document import report_json, report_text
from search.report.importance import importances
from search.report.ranking import best_trials, compare_to_constant


def write_report(search: SearchRecord, folder: pathlib.Path) -> pathlib.Path:
    """Write `report.html`, `report.json`, `policy.json` (the best trial's) and `policies/<family>.json`.

    Each file is replaced as a whole, so a reader never sees half of one. A report of an unfinished search is written
    over by the next.

    Returns:
        The path of `report.html`.

    Raises:
        SearchError: a file cannot be written.
    """
    from search.report.page import render_html

    computed = importances(search)
    best = best_trials(search)
    contents: dict[str, str] = {}
    for place, (family, trial) in enumerate(best.items()):
        # The family becomes a file name, so only a known one is written.
        if trial.history.policy and family in FAMILIES:
            document = {**trial.history.policy, "evidence": _evidence(search, trial)}
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
            contents[f"policies/{family}.json"] = text
            if place == 0:
                contents["policy.json"] = text
    contents["report.json"] = report_text(report_json(search, computed=computed))
    created = datetime.datetime.now(datetime.UTC)
    contents["report.html"] = render_html(search, created=created, computed=computed)
    for name, text in contents.items():
        _replace(folder / name, text)
    return folder / "report.html"


def _evidence(search: SearchRecord, trial: TrialRecord) -> dict[str, object]:
    """Where a policy comes from and what speaks for it; for people to read."""
    difference, objective = compare_to_constant(search).of(trial.family), search.objective
    accuracies = [replicate.validation_accuracy for replicate in trial.history.replicates]
    score = trial.history.score
    return {
        "search": search.name,
        "trial": trial.number,
        "validation_accuracy": statistics.fmean(accuracies) if accuracies else None,
        "objective": objective.name,
        "objective_direction": objective.direction,
        "objective_value": None if score is None else objective.value(score),
        "seeds": [replicate.seed for replicate in trial.history.replicates],
        "lead_over_best_constant": difference.mean if difference else None,
        "lead_95_percent_interval": [difference.low, difference.high] if difference else None,
        "confirmed_on_test_set": False,
    }


def _replace(path: pathlib.Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = pathlib.Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            temporary.chmod(0o644)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise SearchError(
            f"cannot write the report's file {str(path)!r}: {error.strerror or error};"
            " choose a folder that can be written."
        ) from error
