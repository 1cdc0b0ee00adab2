"""Lists the metrics of a student: name, label, unit, direction, resolution, reader and wording of each.

Tables, JSON, CSV and MLflow read this list. So a new figure is one entry here and one function in
`trainables.evaluation.MORE`, which measures it. A user's own KPI becomes an entry, too. Imports no torch.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, TypeAlias

from trainables.records import ACCURACY, Direction, EpochRecord, ReplicateResult, SetScore

if TYPE_CHECKING:
    from search.records import SeedResult
    from trainables.records import ModelFigures

Unit: TypeAlias = Literal["%", "nats", "ms", "samples/s", "B", "FLOPs", ""]
PictureSet: TypeAlias = Literal["validation", "test"]
Measured: TypeAlias = EpochRecord | ReplicateResult
"""Records of the search, which are measured on the validation pictures."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric:
    """One figure of a student on a set of pictures.

    Args:
        name: its name in JSON, CSV and settings.
        label: its name for people.
        unit: the unit of its values.
        direction: whether more or less of it is better.
        counts_pictures: True if it is a share of pictures, so that it moves in steps of one picture.
        in_search: reads its value from a record of the search.
        of_set: reads its value from the scores of a confirmation; None for a user's own KPI, which is stored beside
            them.
        logged: the name of its value on a set in MLflow, after `validation_` or `test_`.
        of_teacher: True if the teacher has one, too.
    """

    name: str
    label: str
    unit: Unit
    direction: Direction
    counts_pictures: bool
    in_search: Callable[[Measured], float | None]
    of_set: Callable[[SetScore], float | None] | None
    logged: str
    of_teacher: bool = True

    @property
    def own(self) -> bool:
        """True for a KPI of the user's own."""
        return self.of_set is None

    @property
    def curve(self) -> str:
        """The name of its curve along the epochs in MLflow."""
        return f"validation/{self.name}"

    def of_result(self, result: SeedResult, on: PictureSet = "test") -> float | None:
        """The value of one confirmed training; None if it was not measured."""
        if self.of_set is not None:
            return self.of_set(result.test if on == "test" else result.validation)
        return (result.own_kpis if on == "test" else result.validation_kpis).get(self.name)

    def resolution(self, pictures: int | None) -> float:
        """The step in which it moves on a set of this many pictures; 0 if it has none or the number is not known."""
        return 1.0 / pictures if pictures and self.counts_pictures else 0.0


METRICS: tuple[Metric, ...] = (
    Metric(
        name=ACCURACY, label="Accuracy", unit="%", direction="maximize", counts_pictures=True,
        in_search=lambda r: r.validation_accuracy, of_set=lambda s: s.accuracy,
        logged="accuracy",
    ),
    Metric(
        name="loss", label="Cross entropy", unit="nats", direction="minimize", counts_pictures=False,
        in_search=lambda r: r.validation_loss, of_set=lambda s: s.loss,
        logged="loss",
    ),
    Metric(
        name="calibration_error", label="Calibration error (ECE)", unit="%", direction="minimize",
        counts_pictures=False, in_search=lambda r: r.calibration_error, of_set=lambda s: s.calibration_error,
        logged="calibration_error",
    ),
    Metric(
        name="balanced_accuracy", label="Balanced accuracy", unit="%", direction="maximize", counts_pictures=False,
        in_search=lambda r: r.more.get("balanced_accuracy"), of_set=lambda s: s.more.get("balanced_accuracy"),
        logged="balanced_accuracy",
    ),
    Metric(
        name="agreement", label="Agreement with the teacher", unit="%", direction="maximize", counts_pictures=True,
        in_search=lambda r: r.agreement, of_set=lambda s: s.agreement,
        logged="agreement_with_teacher", of_teacher=False,
    ),
)  # fmt: skip
"""The metrics that are measured of every student."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunningCost:
    """One figure of what a network costs where it runs; `of` reads it, or None where it was not measured."""

    name: str
    unit: Unit
    direction: Direction
    of: Callable[[ModelFigures], float | None]


def _running_costs() -> dict[str, RunningCost]:
    """Return the costs by name: sizes, and the speeds on each kind of device, of which one CPU thread needs no name."""
    found = [
        RunningCost(name="parameters", unit="", direction="minimize", of=lambda figures: figures.parameters),
        RunningCost(name="flops", unit="FLOPs", direction="minimize", of=lambda figures: figures.flops),
        RunningCost(name="file_bytes", unit="B", direction="minimize", of=lambda figures: figures.file_bytes),
        RunningCost(name="onnx_bytes", unit="B", direction="minimize", of=lambda figures: figures.onnx_bytes),
    ]
    speeds: tuple[tuple[str, Unit, Direction, str], ...] = (
        ("latency_ms", "ms", "minimize", "p50_ms"),
        ("latency_p95_ms", "ms", "minimize", "p95_ms"),
        ("throughput", "samples/s", "maximize", "pictures_per_second"),
    )
    for device in ("cpu", "cpu_threads", "cuda", "onnx"):
        for name, unit, direction, key in speeds:
            own = name if device == "cpu" else f"{name}_{device}"
            found.append(RunningCost(name=own, unit=unit, direction=direction, of=_speed(device, key)))
    return {cost.name: cost for cost in found}


def _speed(device: str, key: str) -> Callable[[ModelFigures], float | None]:
    return lambda figures: figures.latency.get(device, {}).get(key)


RUNNING_COSTS: dict[str, RunningCost] = _running_costs()
"""The costs that a confirmation measures of teacher and student, by name."""

TRAINING_CURVES = {
    "train/task_loss": "train_task_loss",
    "train/distill_loss": "train_distill_loss",
    "train/lambda": "weight",
}
"""Curves of the training itself along its epochs: name in MLflow -> field of `EpochRecord`."""
STEP_CURVES = {
    "step/lambda": "weight",
    "step/scale": "scale",
    "step/cosine": "cosine",
    "step/norm_ratio": "norm_ratio",
    "step/task_loss": "task_loss",
    "step/distill_loss": "distill_loss",
}
"""Curves of the training along its probed steps: name in MLflow -> field of `TracePoint`."""


def own_metric(name: str, direction: Direction = "maximize") -> Metric:
    """The entry of a user's own KPI."""
    return Metric(
        name=name,
        label=name,
        unit="",
        direction=direction,
        counts_pictures=False,
        in_search=lambda record: record.own_kpis.get(name),
        of_set=None,
        logged=name,
    )


def metric_of_objective(name: str, direction: Direction = "maximize") -> Metric:
    """The entry of an objective: accuracy, or else a KPI of the user's own."""
    return METRICS[0] if name == ACCURACY else own_metric(name, direction)


def metrics_with(own: Iterable[str]) -> tuple[Metric, ...]:
    """All metrics of students that were measured with these KPIs of the user's own, which come last.

    A user's KPI takes the place of a metric of the same name.
    """
    names = dict.fromkeys(own)
    return (*(metric for metric in METRICS if metric.name not in names), *map(own_metric, names))


def in_unit(value: float | None, unit: str) -> str:
    """A value as people read it: `86.00 %`, `1.2 MB`; empty where there is none."""
    if value is None or not math.isfinite(value):
        return ""
    if unit == "%":
        return f"{100 * value:.2f} %"
    if unit in _THOUSANDS:
        return _by_thousands(value, _THOUSANDS[unit])
    digits = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    if unit == "samples/s":
        digits = f"{float(f'{value:.3g}'):,.0f}"
    return f"{digits.replace('-', '−')} {unit}".rstrip()


def spread_in_unit(spread: float | None, unit: str) -> str:
    """`± 0.40`, a standard deviation; empty where there is none."""
    if spread is None or not math.isfinite(spread):
        return ""
    return f"± {100 * spread:.2f}" if unit == "%" else f"± {spread:.2g}"


_THOUSANDS = {"B": ("B", "kB", "MB", "GB", "TB"), "FLOPs": ("", "k", "M", "G", "T")}


def _by_thousands(value: float, steps: tuple[str, ...]) -> str:
    place = 0
    while value >= 1000 and place < len(steps) - 1:
        value, place = value / 1000, place + 1
    return f"{value:.3g} {steps[place]}".rstrip()
