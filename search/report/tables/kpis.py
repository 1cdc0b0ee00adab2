"""Compares teacher, labels alone, best constant and winner: how good they are and what they cost to run.

Confirmed students are judged on the test pictures, those of an unconfirmed search on the validation pictures. A KPI
that was not measured has no value, and the page says so.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence

import pydantic

from search.drawing import Table
from search.evidence import Confirmed, ReportSource, rule_title, title
from search.metrics import Metric, in_unit, metrics_with, spread_in_unit
from search.records import ConfirmationRecord, SearchRecord, TrialRecord
from search.settings import CONSTANT_FAMILY
from search.wording import sentence_case
from trainables.records import ACCURACY, ModelFigures
from trainables.settings import Settings

_DEVICES = {"cpu": "CPU, one thread", "cpu_threads": "CPU, all threads", "cuda": "GPU"}


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


def _of_confirmation(search: SearchRecord, confirmed: Confirmed) -> KPITable:
    record = confirmed.record
    keys: list[tuple[str, str]] = []
    if confirmed.labels_alone is not None:
        keys.append((confirmed.labels_alone, "Labels alone"))
    keys.append((confirmed.baseline, "Best constant"))
    if confirmed.rival is not None:
        keys.append((confirmed.rival, "Winner" if confirmed.rival == confirmed.winner else "Nearest rule"))
    keys = list({key: (key, label) for key, label in keys}.values())
    columns = (
        KPIColumn(label="Teacher", who=search.config.teacher_name, chosen=False),
        *(KPIColumn(label=label, who=title(record, key), chosen=key == confirmed.winner) for key, label in keys),
    )
    results = [[r for r in record.results if r.finalist == key] for key, _ in keys]
    rows = []
    for metric in metrics_with(name for of_key in results for result in of_key for name in result.own_kpis):
        students = [_value([metric.of_result(result) for result in of_key]) for of_key in results]
        rows.append(_row(metric, _of_teacher(metric, record), students))
    rows += _cost_rows(record.teacher_figures, record.student_figures, len(keys))
    return KPITable(
        on="test",
        seeds=len(record.seeds),
        columns=columns,
        rows=tuple(rows),
        measured_on=_devices(record.student_figures or record.teacher_figures),
        note=_smaller(record.teacher_figures, record.student_figures),
    )


def _of_teacher(metric: Metric, record: ConfirmationRecord) -> float | None:
    if metric.of_set is None:
        return record.teacher_kpis.get(metric.name)
    return metric.of_set(record.teacher) if record.teacher is not None and metric.of_teacher else None


def _row(metric: Metric, teacher: float | None, students: Sequence[KPIValue]) -> KPIRow:
    return KPIRow(
        name=metric.name,
        label=metric.label,
        unit=metric.unit,
        values=(KPIValue(mean=teacher), *students),
        own=metric.own,
        of_teacher=metric.of_teacher,
    )


def _of_search(source: ReportSource) -> KPITable:
    search, comparison, best = source.judged, source.judgement.comparison, source.best_trials
    by_number = {trial.number: trial for trial in search.trials}
    picked: dict[int, tuple[str, TrialRecord]] = {}
    for found, label in ((comparison.labels_alone, "Labels alone"), (comparison.constant, "Best constant")):
        if found is not None:
            picked[found.number] = (label, by_number[found.number])
    rule = next((trial for family, trial in best.items() if family != CONSTANT_FAMILY), None)
    if rule is not None:
        picked[rule.number] = ("Best rule", rule)
    first = search.finished[0].number
    columns = (
        KPIColumn(label="Teacher", who=search.config.teacher_name, chosen=False),
        *(
            KPIColumn(label=label, who=rule_title(trial.family, trial.parameters), chosen=trial.number == first)
            for label, trial in picked.values()
        ),
    )
    students = [trial.history.replicates for _, trial in picked.values()]
    rows = []
    for metric in metrics_with(name for of_trial in students for result in of_trial for name in result.own_kpis):
        teacher = search.teacher_accuracy if metric.name == ACCURACY else None
        values = [_value([metric.in_search(result) for result in of_trial]) for of_trial in students]
        rows.append(_row(metric, teacher, values))
    sizes = [KPIValue(mean=trial.history.parameters or None) for _, trial in picked.values()]
    rows.append(
        KPIRow(
            name="parameters",
            label="Parameters",
            unit="",
            values=(KPIValue(mean=search.teacher_parameters), *sizes),
        )
    )
    rows += _cost_rows(None, None, len(picked))[1:]
    return KPITable(
        on="validation",
        seeds=max((len(replicates) for replicates in students), default=0),
        columns=columns,
        rows=tuple(rows),
        measured_on="",
        note="",
    )


def _cost_rows(teacher: ModelFigures | None, student: ModelFigures | None, students: int) -> list[KPIRow]:
    """Return the rows of costs; all students of a search are built alike, so all columns of students are equal."""

    def row(name: str, label: str, unit: str, read: Callable[[ModelFigures], float | None]) -> KPIRow:
        values = [KPIValue(mean=None if figures is None else read(figures)) for figures in (teacher, student)]
        return KPIRow(name=name, label=label, unit=unit, values=(values[0], *[values[1]] * students))

    rows = [
        row("parameters", "Parameters", "", lambda f: f.parameters),
        row("flops", "FLOPs a picture", "FLOPs", lambda f: f.flops),
        row("file_bytes", "File size", "B", lambda f: f.file_bytes),
    ]
    known = [figures.latency for figures in (teacher, student) if figures is not None]
    for device in dict.fromkeys(name for latency in known for name in latency) or ("cpu",):
        where = _DEVICES.get(device, device)
        for key, words, unit in (
            ("p50_ms", "Latency of one picture, median", "ms"),
            ("p95_ms", "Latency of one picture, 95 of 100", "ms"),
            ("pictures_per_second", _batches(known, device), "pictures/s"),
        ):
            read = _reader(device, key)
            rows.append(row(f"{device}_{key}", f"{words} ({where})", unit, read))
    return rows


def _reader(device: str, key: str) -> Callable[[ModelFigures], float | None]:
    return lambda figures: figures.latency.get(device, {}).get(key)


def _batches(known: Sequence[dict[str, dict[str, float]]], device: str) -> str:
    sizes = sorted({int(latency[device]["batch"]) for latency in known if "batch" in latency.get(device, {})})
    return f"Throughput in batches of {' and '.join(map(str, sizes or [64]))}"


def _devices(figures: ModelFigures | None) -> str:
    return "" if figures is None else "; ".join(figures.device_names.values())


def _smaller(teacher: ModelFigures | None, student: ModelFigures | None) -> str:
    if teacher is None or student is None or not student.parameters or not student.flops:
        return ""
    size, work = teacher.parameters / student.parameters, teacher.flops / student.flops
    if size < 1:
        return ""
    return f"The student has {size:.3g} times fewer parameters than the teacher and needs {work:.3g} times fewer FLOPs."


def _value(values: Sequence[float | None]) -> KPIValue:
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known or len(known) < len(values):
        return KPIValue(mean=None)
    return KPIValue(mean=statistics.fmean(known), spread=statistics.stdev(known) if len(known) > 1 else None)
