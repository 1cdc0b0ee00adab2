"""Teacher, labels alone, best constant and winner side by side: how good they are and what they cost to run.

Confirmed students are judged on the test pictures; those of a search that is not confirmed on the validation pictures.
What was not measured has no value, and the page says so.
"""

from __future__ import annotations

import dataclasses
import math
import statistics
from collections.abc import Callable, Sequence

import pydantic

from search.confirmation import ConfirmationRecord, SeedResult
from search.evidence.confirmed import Confirmed
from search.evidence.naming import title
from search.evidence.ranking import CONSTANT_FAMILY, rule_title
from search.records import SearchRecord, TrialRecord
from search.report.source import ReportSource
from search.report.tables import Table
from search.wording import sentence_case
from trainables.figures import ModelFigures
from trainables.records import ReplicateResult
from trainables.settings import Settings

_AGREEMENT = "agreement"
_DEVICES = {"cpu": "CPU, one thread", "cpu_threads": "CPU, all threads", "cuda": "GPU"}


class KPIValue(Settings):
    """A mean over the seeds, and its standard deviation where there are several; `mean` is None if not measured."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", allow_inf_nan=True)

    mean: float | None
    spread: float | None = None


class KPIRow(Settings):
    """One figure of everybody, in the order of the columns."""

    name: str
    """Unique in a table."""
    label: str
    unit: str
    values: tuple[KPIValue, ...]
    own: bool = False
    """Whether it is a KPI of the user's."""


class KPIColumn(Settings):
    """Who is judged; `chosen` for the one that the report recommends."""

    label: str
    who: str
    chosen: bool


class KPITable(Settings):
    """`on` are the pictures that quality was judged on; `measured_on` the machine's devices that speed was."""

    on: str
    seeds: int
    columns: tuple[KPIColumn, ...]
    rows: tuple[KPIRow, ...]
    measured_on: str
    note: str

    @property
    def heading(self) -> str:
        """Who stands side by side: `Teacher, labels alone and best constant side by side`."""
        *others, last = [column.label.lower() for column in self.columns]
        return sentence_case(f"{', '.join(others)} and {last} side by side")

    @property
    def own(self) -> tuple[KPIRow, ...]:
        """The rows of the user's KPIs."""
        return tuple(row for row in self.rows if row.own)


def kpi_table(source: ReportSource) -> KPITable | None:
    """The table, or None while no trial has finished."""
    confirmed = source.confirmed
    if confirmed is not None:
        return _of_confirmation(source.judged, confirmed)
    return _of_search(source) if source.judged.finished else None


def kpi_numbers(table: KPITable) -> Table:
    """A line for every figure of everybody."""
    return Table(
        ("kpi", "unit", "column", "who", "mean", "standard_deviation"),
        tuple(
            (row.name, row.unit, column.label, column.who, value.mean, value.spread)
            for row in table.rows
            for column, value in zip(table.columns, row.values, strict=True)
        ),
    )


def shown(value: KPIValue, unit: str) -> str:
    """A value as people read it; empty if it was not measured."""
    if value.mean is None or not math.isfinite(value.mean):
        return ""
    if unit == "%":
        return f"{100 * value.mean:.2f} %"
    if unit in _BY_THOUSANDS:
        return _by_thousands(value.mean, unit)
    digits = f"{value.mean:,.0f}" if abs(value.mean) >= 100 else f"{value.mean:.3g}"
    if unit == "pictures/s":
        digits = f"{float(f'{value.mean:.3g}'):,.0f}"
    return f"{digits.replace('-', '−')} {unit}".rstrip()


def shown_spread(value: KPIValue, unit: str) -> str:
    """`± 0.40`; empty where there is none."""
    if value.spread is None or not math.isfinite(value.spread) or not shown(value, unit):
        return ""
    return f"± {100 * value.spread:.2f}" if unit == "%" else f"± {value.spread:.2g}"


_BY_THOUSANDS = {"B": ("B", "kB", "MB", "GB", "TB"), "FLOPs": ("", "k", "M", "G", "T")}


def _by_thousands(value: float, unit: str) -> str:
    steps = _BY_THOUSANDS[unit]
    place = 0
    while value >= 1000 and place < len(steps) - 1:
        value, place = value / 1000, place + 1
    return f"{value:.3g} {steps[place]}".rstrip()


@dataclasses.dataclass(frozen=True)
class _Quality:
    """How one quality figure is read of the teacher and of a student under one seed."""

    name: str
    label: str
    unit: str
    of_result: Callable[[SeedResult], float | None]
    of_replicate: Callable[[ReplicateResult], float | None]


_QUALITY = (
    _Quality("accuracy", "Accuracy", "%", lambda r: r.test.accuracy, lambda r: r.validation_accuracy),
    _Quality(
        "calibration_error", "Calibration error (ECE)", "%",
        lambda r: r.test.calibration_error, lambda r: r.calibration_error,
    ),
    _Quality(_AGREEMENT, "Agreement with the teacher", "%", lambda r: r.test.agreement, lambda r: r.agreement),
    _Quality("loss", "Cross entropy", "nats", lambda r: r.test.loss, lambda r: r.validation_loss),
)  # fmt: skip


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
        KPIColumn(label="Teacher", who=search.config.teacher.model.name, chosen=False),
        *(KPIColumn(label=label, who=title(record, key), chosen=key == confirmed.winner) for key, label in keys),
    )
    results = [[r for r in record.results if r.finalist == key] for key, _ in keys]
    rows = [_teacher_and(q, record, [[q.of_result(r) for r in of_key] for of_key in results]) for q in _QUALITY]
    for name in dict.fromkeys(name for of_key in results for r in of_key for name in r.own_kpis):
        own = [_value([r.own_kpis.get(name) for r in of_key]) for of_key in results]
        teacher = KPIValue(mean=record.teacher_kpis.get(name))
        rows.append(KPIRow(name=name, label=name, unit="", values=(teacher, *own), own=True))
    rows += _cost_rows(record.teacher_figures, record.student_figures, len(keys))
    return KPITable(
        on="test",
        seeds=len(record.seeds),
        columns=columns,
        rows=tuple(rows),
        measured_on=_devices(record.student_figures or record.teacher_figures),
        note=_smaller(record.teacher_figures, record.student_figures),
    )


def _teacher_and(quality: _Quality, record: ConfirmationRecord, students: list[list[float | None]]) -> KPIRow:
    known = record.teacher is not None and quality.name != _AGREEMENT  # the teacher agrees with itself
    teacher = getattr(record.teacher, quality.name) if known else None
    return KPIRow(
        name=quality.name,
        label=quality.label,
        unit=quality.unit,
        values=(KPIValue(mean=teacher), *map(_value, students)),
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
        KPIColumn(label="Teacher", who=search.config.teacher.model.name, chosen=False),
        *(
            KPIColumn(label=label, who=rule_title(trial.family, trial.parameters), chosen=trial.number == first)
            for label, trial in picked.values()
        ),
    )
    students = [trial.history.replicates for _, trial in picked.values()]
    rows = []
    for quality in _QUALITY:
        teacher = search.teacher_accuracy if quality.name == "accuracy" else None
        values = [_value([quality.of_replicate(r) for r in of_trial]) for of_trial in students]
        rows.append(
            KPIRow(name=quality.name, label=quality.label, unit=quality.unit, values=(KPIValue(mean=teacher), *values))
        )
    for name in dict.fromkeys(name for of_trial in students for r in of_trial for name in r.own_kpis):
        own = [_value([r.own_kpis.get(name) for r in of_trial]) for of_trial in students]
        rows.append(KPIRow(name=name, label=name, unit="", values=(KPIValue(mean=None), *own), own=True))
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
    """All students of a search are built alike, so one speaks for all."""

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
