"""Holds an analysis as plain data: the training, and the results of virtual steps along it. Readable without torch."""

from __future__ import annotations

import csv
import io
import json
import pathlib
from typing import Any, Literal

import pydantic

from policies.parameter import Value
from search.errors import SearchError
from trainables.errors import ConfigError
from trainables.records import LOSSES, STEP_KINDS, ProbeRecord, ProbeSettings
from trainables.settings import Settings

RECORD_FILE = "analysis.json"
TABLE_FILE = "analysis.csv"
_FORMAT = 1


class AnalysisRecord(Settings):
    """One analysis, finished."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    format: Literal[1] = 1
    name: str
    """The name of the search or of the recipe."""
    trial: int | None = None
    """The trial of the search whose rule and settings these are; None for a recipe, a file or a rule from elsewhere."""
    family: str
    parameters: dict[str, Value]
    rule: str
    """The rule in words."""
    seeds: tuple[int, ...]
    total_steps: int
    """Steps of one training."""
    temperature: float
    learning_rate: float
    optimizer: str
    student: str
    dataset: str
    device: str
    held_out: int
    """Held-out pictures: validation pictures, none of which the student is trained on."""
    settings: ProbeSettings
    seconds: float
    probes: tuple[ProbeRecord, ...]

    @property
    def weights(self) -> tuple[float, ...]:
        """The λ that were tried."""
        return self.settings.weights


def record_json(record: AnalysisRecord) -> str:
    """The contents of `analysis.json`; numbers survive exactly."""
    return json.dumps(record.model_dump(mode="python"), ensure_ascii=False) + "\n"


def read_analysis(folder: pathlib.Path | str) -> AnalysisRecord | None:
    """The analysis in a folder `<output>/<name>/analysis`; None if there is none.

    Raises:
        SearchError: it is damaged, or of another release.
    """
    path = pathlib.Path(folder) / RECORD_FILE
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SearchError(f"{str(path)!r} is damaged: {error}; `kd-search analyze` writes it again.") from error
    if not isinstance(values, dict) or values.get("format") != _FORMAT:
        found = values.get("format") if isinstance(values, dict) else None
        raise SearchError(
            f"{str(path)!r} has format {found!r}, but this release reads {_FORMAT}; `kd-search analyze` writes it"
            " again."
        )
    try:
        return AnalysisRecord.parse(values)
    except ConfigError as error:
        raise SearchError(f"{str(path)!r} is damaged: {error} `kd-search analyze` writes it again.") from error


def record_csv(record: AnalysisRecord) -> str:
    """The contents of `analysis.csv`: a row for each probe, λ and kind of step."""
    out = io.StringIO()
    rows = csv.writer(out, lineterminator="\n")
    sets, figures = ("held_out", "batch"), ("true", "error", "first", "plain", "second", "halfway")
    columns = [
        f"{where}_{loss}_{figure}"
        for where in sets
        for loss in LOSSES
        for figure in figures
        if where == "held_out" or figure != "error"
    ]
    horizons = [(k, loss) for k in record.settings.horizons for loss in LOSSES]
    rows.writerow(
        ["seed", "step", "progress", "learning_rate", "rule_weight", "cosine", "norm_ratio", "task_alignment"]
        + ["distill_alignment", "cross_alignment", "kind", "weight", "length", *columns]
        + [f"after_{k}_{loss}" for k, loss in horizons]
    )
    for probe in record.probes:
        known = [probe.seed, probe.step, probe.progress, probe.learning_rate, probe.weight, probe.batch.cosine]
        known += [probe.batch.norm_ratio, probe.task_alignment, probe.distill_alignment, probe.cross_alignment]
        for kind in STEP_KINDS:
            taken = probe.steps[kind]
            for place, weight in enumerate(record.weights):
                cells: list[Any] = []
                for where in sets:
                    for loss in LOSSES:
                        response = getattr(taken, where)[loss]
                        values = [getattr(response, f) for f in figures if where == "held_out" or f != "error"]
                        cells += ["" if v is None or v[place] is None else v[place] for v in values]
                later = [
                    probe.horizons[k][loss][place] if kind == "optimizer" and k in probe.horizons else ""
                    for k, loss in horizons
                ]
                rows.writerow([*known, kind, weight, taken.lengths[place], *cells, *later])
    return out.getvalue()
