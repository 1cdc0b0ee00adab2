"""Compares teacher, labels alone, best constant and winner: how good they are and what they cost to run.

Confirmed students are judged on the test pictures, those of an unconfirmed search on the validation pictures. A KPI
that was measured of nobody is left out.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import pydantic

from search.drawing import Table
from search.evidence import Confirmed, ReportSource, rule_title, title
from search.metrics import Metric, in_unit, metrics_with, spread_in_unit
from search.records import ConfirmationRecord, SearchRecord, SeedResult
from search.settings import CONSTANT_FAMILY
from search.wording import sentence_case
from trainables.records import ACCURACY, ModelFigures, ReplicateResult
from trainables.settings import Settings

_DEVICES = {
    "cpu": "CPU, one thread",
    "cpu_threads": "CPU, all threads",
    "cuda": "GPU",
    "onnx": "onnxruntime, one thread",
}

_Result = TypeVar("_Result", bound=ReplicateResult | SeedResult)


class KPIValue(Settings):
    """A mean over the seeds, and its standard deviation if there are several; `mean` is None if not measured."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    mean: float | None
    spread: float | None = None


class KPIRow(Settings):
    """One KPI of all columns, in their order."""

    name: str
    """The name of the KPI, unique in a table."""
    label: str
    unit: str
    values: tuple[KPIValue, ...]
    own: bool = False
    """True if it is a KPI of the user's own."""
    of_teacher: bool = True
    """True if the teacher can have a value."""


class KPIColumn(Settings):
    """The teacher or a student; `chosen` is true for the one that the report recommends."""

    label: str
    who: str
    chosen: bool


class KPITable(Settings):
    """The table.

    `on` names the pictures on which quality was judged, `measured_on` the machine's devices on which speed was
    measured.
    """

    on: str
    seeds: int
    columns: tuple[KPIColumn, ...]
    rows: tuple[KPIRow, ...]
    measured_on: str
    note: str

    @property
    def heading(self) -> str:
        """The heading, such as `Teacher, labels alone and best constant side by side`."""
        *others, last = [column.label.lower() for column in self.columns]
        return sentence_case(f"{', '.join(others)} and {last} side by side")

    @property
    def own(self) -> tuple[KPIRow, ...]:
        """The rows of the user's KPIs."""
        return tuple(row for row in self.rows if row.own)


def kpi_table(source: ReportSource) -> KPITable | None:
    """Return the table, or None while no trial has finished."""
    confirmed = source.confirmed
    if confirmed is not None:
        return _of_confirmation(source.judged, confirmed)
    return _of_search(source) if source.judged.finished else None


def kpi_numbers(table: KPITable) -> Table:
    """Return a line for each KPI of each column."""
    return Table(
        ("kpi", "unit", "column", "who", "mean", "standard_deviation"),
        tuple(
            (row.name, row.unit, column.label, column.who, value.mean, value.spread)
            for row in table.rows
            for column, value in zip(table.columns, row.values, strict=True)
        ),
    )


def shown(value: KPIValue, unit: str) -> str:
    """Return a value as people read it; empty if it was not measured."""
    return in_unit(value.mean, unit)


def shown_spread(value: KPIValue, unit: str) -> str:
    """Return the spread, such as `± 0.40`; empty if there is none."""
    return spread_in_unit(value.spread, unit) if shown(value, unit) else ""


def value_over_seeds(values: Sequence[float | None]) -> KPIValue:
    """Return mean and standard deviation; no value unless all are known and finite."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known or len(known) < len(values):
        return KPIValue(mean=None)
    return KPIValue(mean=statistics.fmean(known), spread=statistics.stdev(known) if len(known) > 1 else None)


def _of_confirmation(search: SearchRecord, confirmed: Confirmed) -> KPITable:
    record = confirmed.record
    named: dict[str, str] = {}
    if confirmed.labels_alone is not None:
        named[confirmed.labels_alone] = "Labels alone"
    named[confirmed.baseline] = "Best constant"
    if confirmed.rival is not None:
        named[confirmed.rival] = "Winner" if confirmed.rival == confirmed.winner else "Nearest rule"
    if confirmed.champion is not None:
        named.setdefault(confirmed.champion, "Champion")  # another one would have won, but breaks a gate
    columns = [_teacher_column(search)]
    columns += [
        KPIColumn(label=name, who=title(record, key), chosen=key == confirmed.champion) for key, name in named.items()
    ]
    results = [[result for result in record.results if result.finalist == key] for key in named]
    rows = _metric_rows(search, results, Metric.of_result, lambda metric: _of_teacher(metric, record))
    teacher, student = record.teacher_figures, record.student_figures
    figures = [teacher, *[student] * len(named)]  # all students of a search are built alike
    table = KPITable(
        on="test",
        seeds=len(record.seeds),
        columns=tuple(columns),
        rows=(*rows, *_cost_rows([getattr(of_model, "parameters", None) for of_model in figures], figures)),
        measured_on="; ".join(measured.device_names.values()) if (measured := student or teacher) else "",
        note=_smaller(teacher, student),
    )
    return _known(table, search)


def _of_search(source: ReportSource) -> KPITable:
    search, comparison = source.judged, source.judgement.comparison
    named: dict[int, str] = {}
    for found, label in ((comparison.labels_alone, "Labels alone"), (comparison.constant, "Best constant")):
        if found is not None:
            named[found.number] = label
    for family, trial in source.best_trials.items():
        if family != CONSTANT_FAMILY:
            named[trial.number] = "Best rule"
            break
    by_number = {trial.number: trial for trial in search.trials}
    trials = [by_number[number] for number in named]
    first = search.finished[0].number
    columns = [_teacher_column(search)]
    columns += [
        KPIColumn(label=label, who=rule_title(trial.family, trial.parameters), chosen=trial.number == first)
        for trial, label in zip(trials, named.values(), strict=True)
    ]
    rows = _metric_rows(
        search,
        [trial.history.replicates for trial in trials],
        lambda metric, result: metric.in_search(result),
        lambda metric: search.teacher_accuracy if metric.name == ACCURACY else None,
    )
    sizes = [search.teacher_parameters, *(trial.history.parameters or None for trial in trials)]
    table = KPITable(
        on="validation",
        seeds=max((len(trial.history.replicates) for trial in trials), default=0),
        columns=tuple(columns),
        rows=(*rows, *_cost_rows(sizes, [None] * len(sizes))),
        measured_on="",
        note="",
    )
    return _known(table, search)


def _known(table: KPITable, search: SearchRecord) -> KPITable:
    """Leave out rows that nobody has a value of, and the teacher's column, which is first, if a function hides it."""
    first = 0 if search.config.function is None else 1
    rows = tuple(row.model_copy(update={"values": row.values[first:]}) for row in table.rows)
    rows = tuple(row for row in rows if any(value.mean is not None for value in row.values))
    return table.model_copy(update={"columns": table.columns[first:], "rows": rows})


def _teacher_column(search: SearchRecord) -> KPIColumn:
    return KPIColumn(label="Teacher", who=search.config.teacher_name, chosen=False)


def _of_teacher(metric: Metric, record: ConfirmationRecord) -> float | None:
    if metric.of_set is None:
        return record.teacher_kpis.get(metric.name)
    return metric.of_set(record.teacher) if record.teacher is not None and metric.of_teacher else None


def _metric_rows(
    search: SearchRecord,
    students: Sequence[Sequence[_Result]],
    read: Callable[[Metric, _Result], float | None],
    of_teacher: Callable[[Metric], float | None],
) -> list[KPIRow]:
    """Return a row for each metric of the students' results; a task has not all of those that pictures have."""
    rows = [
        KPIRow(
            name=metric.name,
            label=label,
            unit=unit,
            values=(
                KPIValue(mean=of_teacher(metric)),
                *(value_over_seeds([read(metric, result) for result in results]) for results in students),
            ),
            own=metric.own,
            of_teacher=metric.of_teacher,
        )
        for metric in metrics_with(name for results in students for result in results for name in result.own_kpis)
        for label, unit in (_label_and_unit(metric, search),)
    ]
    return [row for row in rows if any(value.mean is not None for value in row.values)]


def _label_and_unit(metric: Metric, search: SearchRecord) -> tuple[str, str]:
    """Return a metric's label and unit; a task that is no classification has a loss of its own, in its own unit."""
    if metric.name == "loss" and not metric.own:
        if search.config.function is not None:
            return "Loss", ""
        if search.pictures is not None and search.pictures.own_losses:
            return "Loss on the labels", ""
    return metric.label, metric.unit


def _cost_rows(sizes: Sequence[float | None], figures: Sequence[ModelFigures | None]) -> list[KPIRow]:
    """Return the rows of costs, from the parameters and the figures of each column's model."""

    def row(name: str, label: str, unit: str, values: Iterable[float | None]) -> KPIRow:
        return KPIRow(name=name, label=label, unit=unit, values=tuple(KPIValue(mean=value) for value in values))

    rows = [
        row("parameters", "Parameters", "", sizes),
        row("flops", "FLOPs a sample", "FLOPs", (getattr(of_model, "flops", None) for of_model in figures)),
        row("file_bytes", "File size", "B", (getattr(of_model, "file_bytes", None) for of_model in figures)),
    ]
    onnx_bytes = [getattr(of_model, "onnx_bytes", None) for of_model in figures]
    if any(size is not None for size in onnx_bytes):
        rows.append(row("onnx_bytes", "File size as ONNX", "B", onnx_bytes))
    latencies = [{} if of_model is None else of_model.latency for of_model in figures]
    for device in dict.fromkeys(name for latency in latencies for name in latency) or ("cpu",):
        on_device = [latency.get(device, {}) for latency in latencies]
        batches = sorted({int(latency["batch"]) for latency in on_device if "batch" in latency})
        for key, words, unit in (
            ("p50_ms", "Latency of one sample, median", "ms"),
            ("p95_ms", "Latency of one sample, 95 of 100", "ms"),
            (
                "pictures_per_second",
                f"Throughput in batches of {' and '.join(map(str, batches or [64]))}",
                "samples/s",
            ),
        ):
            label = f"{words} ({_DEVICES.get(device, device)})"
            rows.append(row(f"{device}_{key}", label, unit, (latency.get(key) for latency in on_device)))
    return rows


def _smaller(teacher: ModelFigures | None, student: ModelFigures | None) -> str:
    if teacher is None or student is None or not student.parameters or not student.flops:
        return ""
    size, work = teacher.parameters / student.parameters, teacher.flops / student.flops
    if size < 1:
        return ""
    return f"The student has {size:.3g} times fewer parameters than the teacher and needs {work:.3g} times fewer FLOPs."
