"""Holds an analysis as plain data: the training, and the results of virtual steps along it. Readable without torch."""

from __future__ import annotations

import csv
import io
import itertools
import json
import pathlib
from typing import Any, Literal

import pydantic

from policies.parameter import Value
from search.errors import SearchError
from trainables.errors import ConfigError
from trainables.records import LOSSES, STEP_KINDS, ProbeRecord, ProbeSettings, StepKind
from trainables.settings import Settings

RECORD_FILE = "analysis.json"
TABLE_FILE = "analysis.csv"
_FORMAT = 1
_FIGURES = ("true", "error", "first", "plain", "second", "halfway")


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
    found = values.get("format") if isinstance(values, dict) else None
    if found != _FORMAT:
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
    rows = [
        _row(record, probe, kind, place)
        for probe in record.probes
        for kind in STEP_KINDS
        for place in range(len(record.weights))
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, next(iter(rows), ()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _row(record: AnalysisRecord, probe: ProbeRecord, kind: StepKind, place: int) -> dict[str, Any]:
    taken = probe.steps[kind]
    row = {name: getattr(probe, name) for name in ("seed", "step", "progress", "learning_rate")}
    row |= {"rule_weight": probe.weight, "cosine": probe.batch.cosine, "norm_ratio": probe.batch.norm_ratio}
    row |= {name: getattr(probe, name) for name in ("task_alignment", "distill_alignment", "cross_alignment")}
    row |= {"kind": kind, "weight": record.weights[place], "length": taken.lengths[place]}
    for where, loss, figure in itertools.product(("held_out", "batch"), LOSSES, _FIGURES):
        if where == "held_out" or figure != "error":
            values = getattr(getattr(taken, where)[loss], figure)
            row[f"{where}_{loss}_{figure}"] = None if values is None else values[place]
    for steps, loss in itertools.product(record.settings.horizons, LOSSES):
        known = kind == "optimizer" and steps in probe.horizons
        row[f"after_{steps}_{loss}"] = probe.horizons[steps][loss][place] if known else None
    return row
